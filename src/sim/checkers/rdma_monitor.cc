#include "sim/checkers/rdma_monitor.h"

#include "base/bytes.h"
#include "sim/checkers/command_rules.h"

#include <algorithm>
#include <cstring>

namespace weft::sim {
namespace {

using End = verbs::MemoryTap::End;
using nvme::DataDirection;
using nvme::SglDescriptor;

uint32_t size_of(const ibv_send_wr& request) {
  uint32_t size = 0;
  for (int i = 0; i < request.num_sge; ++i) size += request.sg_list[i].length;
  return size;
}

Side side_of(End end) { return end == End::kClient ? Side::kHost : Side::kTarget; }

}  // namespace

RdmaMonitor::RdmaMonitor(WireQueue queue, uint16_t reads_max, const Agenda& agenda, Referee& referee, WireEvents& events)
    : queue_(std::move(queue)), reads_max_(reads_max), agenda_(agenda), referee_(referee), events_(events) {
  events_.on_initialized(queue_, 0, agenda_.now());
}

void RdmaMonitor::report(End by, std::string_view what) {
  is_over_ = true;
  if (by == End::kClient && !queue_.is_host_trusted) return;
  referee_.fail("wire", fmt::format("{}: the {}: {}", queue_.name, by == End::kClient ? "host" : "target", what));
}

void RdmaMonitor::on_posted(End by, const ibv_send_wr& request, std::span<const std::byte> message) {
  if (is_over_) return;
  if (by == End::kClient) {
    if (request.opcode == IBV_WR_BIND_MW || request.opcode == IBV_WR_LOCAL_INV) return;
    if (request.opcode == IBV_WR_SEND) return on_capsule(message);
    return report(by, fmt::format("a work request with opcode {}", int(request.opcode)));
  }
  ++target_posted_;
  switch (request.opcode) {
    case IBV_WR_RDMA_WRITE: return on_write(request);
    case IBV_WR_RDMA_READ: return on_read(request);
    case IBV_WR_SEND:
    case IBV_WR_SEND_WITH_INV: return on_response(request, message);
    default: return report(by, fmt::format("a work request with opcode {}", int(request.opcode)));
  }
}

// --- the host's -----------------------------------------------------------------------------------------------------

void RdmaMonitor::on_capsule(std::span<const std::byte> capsule) {
  constexpr End kBy = End::kClient;
  const auto* sqe = view<nvme::Sqe>(capsule);
  if (sqe == nullptr) return report(kBy, fmt::format("a capsule of {} bytes", capsule.size()));
  const uint16_t cid = sqe->cid;
  if (commands_.contains(cid)) return report(kBy, fmt::format("CapsuleCmd: CID {:04x}h is outstanding", cid));
  if (const auto wrong = wrong_of_command(*sqe, queue_, commands_.size()); !wrong.empty()) return report(kBy, wrong);
  if (const auto wrong = wrong_of_flags(*sqe); !wrong.empty()) return report(kBy, wrong);
  Record record{.sqe = *sqe, .direction = direction_of(*sqe), .segments = {}, .connect_data = {}};
  if (record.direction != DataDirection::kNone) {
    if (const auto wrong = read_sgl(record, capsule.subspan(sizeof *sqe)); !wrong.empty()) return report(kBy, fmt::format("CapsuleCmd: {} (CID {:04x}h)", wrong, cid));
  }
  if (is_connect(*sqe)) record.connect_data.resize(sizeof(fabrics::ConnectData));
  const Record& added = commands_.emplace(cid, std::move(record)).first->second;
  events_.on_command_sent(queue_, {added.sqe, added.in_capsule_bytes}, agenda_.now());
}

/// What its data is, or what is wrong with that.
std::string RdmaMonitor::read_sgl(Record& record, std::span<const std::byte> after_sqe) const {
  const SglDescriptor& sgl = record.sqe.sgl;
  const uint64_t address = sgl.address;
  const uint32_t length = sgl.length;
  const auto add = [&](const SglDescriptor& descriptor) {
    record.segments.push_back(rdma::segment_of(descriptor));
    record.length += record.segments.back().length;
  };
  switch (sgl.type) {
    case SglDescriptor::kDataBlockOffset:
      if (address != 0) return fmt::format("in-capsule data at offset {}", address);
      if (length != after_sqe.size()) return fmt::format("{} bytes in the capsule, {} in its SGL", after_sqe.size(), length);
      if (length > 0 && record.direction != DataDirection::kHostToController) return "data in the capsule of a command that takes none";
      record.length = record.in_capsule_bytes = length;
      return {};
    case SglDescriptor::kKeyedDataBlock:
    case SglDescriptor::kKeyedDataBlockInvalidate:
      if (!after_sqe.empty()) return "bytes in the capsule of a command with a key";
      add(sgl);
      return {};
    case SglDescriptor::kLastSegmentOffset:
      if (address != 0 || length == 0 || length != after_sqe.size() || length % sizeof(SglDescriptor) != 0) {
        return fmt::format("a list of {} bytes at offset {} in a capsule with {}", length, address, after_sqe.size());
      }
      for (size_t at = 0; at < length; at += sizeof(SglDescriptor)) {
        const auto& descriptor = *view<SglDescriptor>(after_sqe.subspan(at));
        if (!rdma::is_keyed(descriptor)) return fmt::format("a descriptor of type {:02x}h in its list", descriptor.type);
        add(descriptor);
      }
      return {};
    default: return fmt::format("SGL type {:02x}h", sgl.type);
  }
}

// --- the target's ---------------------------------------------------------------------------------------------------

RdmaMonitor::Record* RdmaMonitor::find_open(uint16_t cid) {
  const auto found = commands_.find(cid);
  const bool is_open = found != commands_.end() && found->second.has_arrived && !found->second.is_answered;
  return is_open ? &found->second : nullptr;
}

RdmaMonitor::Record* RdmaMonitor::find_transfer(const ibv_send_wr& request, DataDirection direction, uint32_t Record::*moved) {
  const uint32_t size = size_of(request);
  for (auto& [cid, record] : commands_) {
    if (find_open(cid) == nullptr || record.direction != direction) continue;
    uint32_t offset = record.*moved;
    auto segment = record.segments.begin();
    while (segment != record.segments.end() && offset >= segment->length) offset -= (segment++)->length;
    if (segment == record.segments.end()) continue;
    const bool is_next = segment->key == request.wr.rdma.rkey && segment->address + offset == request.wr.rdma.remote_addr;
    if (is_next && size <= segment->length - offset) return &record;
  }
  return nullptr;
}

void RdmaMonitor::on_write(const ibv_send_wr& request) {
  Record* record = find_transfer(request, DataDirection::kControllerToHost, &Record::given);
  if (record == nullptr) {
    return report(End::kServer, fmt::format("a WRITE of {} bytes to where no command's data is due", size_of(request)));
  }
  record->given += size_of(request);
}

void RdmaMonitor::on_read(const ibv_send_wr& request) {
  Record* record = find_transfer(request, DataDirection::kHostToController, &Record::asked);
  if (record == nullptr) {
    return report(End::kServer, fmt::format("a READ of {} bytes of what is no command's data, or was read before", size_of(request)));
  }
  record->asked += size_of(request);
  reads_.push_back(record->sqe.cid);
  if (reads_.size() > reads_max_) report(End::kServer, fmt::format("{} READs are outstanding, settled were {}", reads_.size(), reads_max_));
}

void RdmaMonitor::on_response(const ibv_send_wr& request, std::span<const std::byte> message) {
  const auto* cqe = view<nvme::Cqe>(message);
  if (cqe == nullptr || message.size() != sizeof *cqe) return report(End::kServer, fmt::format("a response of {} bytes", message.size()));
  const uint16_t cid = cqe->cid;
  Record* record = find_open(cid);
  const bool has_waited = target_posted_ > 1;  // for room in the send queue, perhaps
  const Instant now = agenda_.now();
  const Instant not_before = has_waited && record != nullptr ? record->arrived_at : now;
  events_.on_completion(queue_, {record != nullptr ? &record->sqe : nullptr, *cqe, false, not_before, record != nullptr ? record->length : 0}, now);
  if (!is_invalidation_right(record, request)) return;
  if (record == nullptr) return;  // the listener's finding
  if (cqe->decoded_status().ok()) {
    if (!is_success_right(*record, cid)) return;
    if (is_connect(record->sqe)) {
      take_grant(queue_, record->sqe, *view<fabrics::ConnectData>(record->connect_data), *cqe);
      events_.on_connected(queue_, now);
    }
  }
  record->is_answered = true;
}

/// All data has been moved.
bool RdmaMonitor::is_success_right(const Record& record, uint16_t cid) {
  if (record.segments.empty()) return true;
  const bool is_to_host = record.direction == DataDirection::kControllerToHost;
  const uint32_t moved = is_to_host ? record.given : record.fetched;
  return moved == record.length || broken(End::kServer, "CapsuleResp: success after {} of {} bytes were {} (CID {:04x}h)", moved, record.length,
                                          is_to_host ? "written" : "read", cid);
}

/// Only a key of this command's that the host has asked for.
bool RdmaMonitor::is_invalidation_right(const Record* record, const ibv_send_wr& request) {
  if (request.opcode != IBV_WR_SEND_WITH_INV) return true;
  const bool is_asked = record != nullptr && std::ranges::any_of(record->segments, [&](const rdma::Segment& segment) {
    return segment.is_to_invalidate && segment.key == request.invalidate_rkey;
  });
  return is_asked || broken(End::kServer, "a response invalidates a key, and nobody has asked for that");
}

// --- both -----------------------------------------------------------------------------------------------------------

void RdmaMonitor::on_received(End by, std::span<const std::byte> message) {
  if (is_over_) return;
  if (by == End::kClient) {
    if (const auto* cqe = view<nvme::Cqe>(message)) commands_.erase(cqe->cid);
    return;
  }
  const auto* sqe = view<nvme::Sqe>(message);
  const auto found = sqe == nullptr ? commands_.end() : commands_.find(sqe->cid);
  if (found == commands_.end() || found->second.has_arrived) return;
  Record& record = found->second;
  record.has_arrived = true;
  record.arrived_at = agenda_.now();
  if (is_connect(record.sqe)) {
    const auto data = message.subspan(sizeof(nvme::Sqe)).first(record.in_capsule_bytes);
    std::ranges::copy(data.first(std::min(data.size(), record.connect_data.size())), record.connect_data.begin());
  }
  events_.on_command_taken(queue_, {record.sqe, record.in_capsule_bytes}, agenda_.now());
}

void RdmaMonitor::on_done(End by, const ibv_send_wr& request, std::span<const std::byte> fetched) {
  if (is_over_ || by == End::kClient) return;
  --target_posted_;
  if (request.opcode != IBV_WR_RDMA_READ) return;
  const uint16_t cid = reads_.front();
  reads_.pop_front();
  Record* record = find_open(cid);
  if (record == nullptr) return;  // it was answered before its data came
  if (record->fetched + fetched.size() <= record->connect_data.size()) {
    std::ranges::copy(fetched, record->connect_data.begin() + ptrdiff_t(record->fetched));
  }
  record->fetched += uint32_t(fetched.size());
}

void RdmaMonitor::on_ended(End by) { events_.on_closed(queue_, side_of(by), agenda_.now()); }

}  // namespace weft::sim
