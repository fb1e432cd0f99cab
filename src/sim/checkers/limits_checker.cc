#include "sim/checkers/limits_checker.h"

#include "wire/nvme/features.h"

namespace weft::sim {
namespace {

bool is_io(const WireQueue& queue, const nvme::Sqe& sqe) {
  return !queue.is_admin() && sqe.opcode != nvme::kFabricsOpcode;
}

}  // namespace

const Limits* LimitsChecker::limits_of(const WireQueue& queue) const {
  const auto found = limits_.find(queue.target_machine);
  return found == limits_.end() ? nullptr : &found->second;
}

void LimitsChecker::on_initialized(const WireQueue& queue, uint32_t maxh2cdata, Instant) {
  const Limits* limits = limits_of(queue);
  if (limits == nullptr) return;
  if (maxh2cdata > limits->maxh2cdata_bytes)
    broken(queue, "MAXH2CDATA {}, the limit is {}", maxh2cdata, limits->maxh2cdata_bytes);
  auto& of_peer = connections_[peer_of(queue)];
  of_peer.insert(queue.id);
  if (of_peer.size() > limits->connections_per_peer) {
    broken(queue, "{} connections of one peer, the limit is {}", of_peer.size(), limits->connections_per_peer);
  }
  size_t total = 0;
  for (const auto& [peer, connections] : connections_)
    total += peer.target_machine == queue.target_machine && peer.is_rdma == queue.is_rdma ? connections.size() : 0;
  if (total > limits->connections) broken(queue, "{} connections, the limit is {}", total, limits->connections);
}

void LimitsChecker::on_command_sent(const WireQueue& queue, const WireCommand& command, Instant) {
  const Limits* limits = limits_of(queue);
  if (limits == nullptr || !is_io(queue, command.sqe) || command.in_capsule_bytes == 0) return;
  const uint32_t limit = queue.is_rdma ? limits->rdma_in_capsule_bytes : limits->in_capsule_bytes;
  if (command.in_capsule_bytes <= limit) return;
  broken(queue, "the host sends {} bytes in a capsule, the limit is {}", command.in_capsule_bytes, limit);
}

void LimitsChecker::on_r2t(const WireQueue& queue, const nvme::Sqe& sqe, uint32_t length, Instant) {
  const Limits* limits = limits_of(queue);
  if (limits == nullptr || length <= limits->data_transfer_bytes) return;
  broken(queue, "an R2T for {} bytes, MDTS is {} (CID {:04x}h)", length, limits->data_transfer_bytes,
         uint16_t{sqe.cid});
}

void LimitsChecker::on_completion(const WireQueue& queue, const WireCompletion& completion, Instant) {
  const Limits* limits = limits_of(queue);
  if (limits == nullptr || completion.sqe == nullptr || !completion.cqe.decoded_status().ok()) return;
  const nvme::Sqe& sqe = *completion.sqe;
  const uint32_t length = completion.length;
  if (length > limits->data_transfer_bytes) {
    broken(queue, "success of {} bytes, MDTS is {} (CID {:04x}h)", length, limits->data_transfer_bytes,
           uint16_t{sqe.cid});
  }
  const bool sets_queues = queue.is_admin() && nvme::AdminOpcode(sqe.opcode) == nvme::AdminOpcode::kSetFeatures &&
                           nvme::Feature(uint8_t(sqe.cdw10)) == nvme::Feature::kNumberOfQueues;
  if (!sets_queues) return;
  const uint32_t granted = std::max<uint32_t>(completion.cqe.dw0 & 0xffff, completion.cqe.dw0 >> 16) + 1;
  if (granted > limits->io_queues) broken(queue, "{} I/O queues granted, the limit is {}", granted, limits->io_queues);
}

void LimitsChecker::on_connected(const WireQueue& queue, Instant) {
  const Limits* limits = limits_of(queue);
  if (limits == nullptr) return;
  const uint32_t entries_max = queue.is_admin() ? limits->admin_queue_entries : limits->queue_entries;
  if (queue.entries > entries_max) broken(queue, "{} entries granted, the limit is {}", queue.entries, entries_max);
  if (queue.qid > limits->io_queues)
    broken(queue, "queue ID {} granted, the limit is {}", queue.qid, limits->io_queues);
  if (!queue.is_admin()) return;
  auto& controllers = controllers_[{queue.target_machine, queue.subnqn}];
  controllers.insert(queue.id);
  if (controllers.size() > limits->controllers) {
    broken(queue, "{} controllers of one subsystem, the limit is {}", controllers.size(), limits->controllers);
  }
}

void LimitsChecker::on_closed(const WireQueue& queue, Side by, Instant) {
  if (by != Side::kTarget) return;
  connections_[peer_of(queue)].erase(queue.id);
  if (queue.is_connected && queue.is_admin()) controllers_[{queue.target_machine, queue.subnqn}].erase(queue.id);
}

}  // namespace weft::sim
