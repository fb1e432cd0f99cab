#include "sim/checkers/association_checker.h"

#include "wire/fabrics/connect.h"

namespace weft::sim {
namespace {

/// From the admin queue's end to that of the last I/O queue: messages between reactors, and a last send each. So long, too, a queue may still
/// join: its Connect was answered while the association was there.
constexpr Duration kEndBound = seconds(1);

}  // namespace

void AssociationChecker::on_connected(const WireQueue& queue, Instant) {
  queue.is_admin() ? admin_connected(queue) : io_connected(queue);
}

void AssociationChecker::admin_connected(const WireQueue& queue) {
  if (queue.cntlid == 0 || queue.cntlid > fabrics::kCntlidMax) return broken(queue, "CNTLID {:04x}h", queue.cntlid);
  Association& association = associations_[key_of(queue)];
  if (association.admin_queue != 0 && !association.ended) return broken(queue, "its controller ID is in use");
  if (!association.io_queues.empty()) {
    return broken(queue, "its controller ID is in use: {} is open", association.io_queues.begin()->second.name);
  }
  association = {.hostnqn = queue.hostnqn, .hostid = queue.hostid, .admin_queue = queue.id};
}

void AssociationChecker::io_connected(const WireQueue& queue) {
  const auto found = associations_.find(key_of(queue));
  // One that has just ended is check()'s.
  if (found == associations_.end()) return broken(queue, "joins an association that is not there");
  Association& association = found->second;
  if (association.hostnqn != queue.hostnqn || association.hostid != queue.hostid) {
    return broken(queue, "joins the association of another host");
  }
  for (const auto& [id, other_queue] : association.io_queues) {
    if (other_queue.qid == queue.qid) return broken(queue, "{} has the same queue ID", other_queue.name);
  }
  association.io_queues.emplace(queue.id, queue);
}

void AssociationChecker::on_closed(const WireQueue& queue, Side by, Instant now) {
  if (by != Side::kTarget || !queue.is_connected) return;
  const auto found = associations_.find(key_of(queue));
  if (found == associations_.end()) return;
  Association& association = found->second;
  association.io_queues.erase(queue.id);
  if (association.admin_queue == queue.id) association.ended = now;
}

void AssociationChecker::check(Instant now) {
  std::erase_if(associations_, [&](const auto& entry) {
    const auto& [key, association] = entry;
    if (!association.ended || now <= stalls_.excuse(key.target_machine, *association.ended + kEndBound)) return false;
    for (const auto& [id, queue] : association.io_queues) {
      broken(queue, "still open {} ms after its admin queue", (now - *association.ended).milliseconds());
    }
    return association.io_queues.empty();
  });
}

}  // namespace weft::sim
