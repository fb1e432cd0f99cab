// I/O queues in the device: made, aborted in, deleted. Each step runs on the controller's reactor; what concerns the queue's own side is done there.
#include <fmt/format.h>

#include <algorithm>

#include "nvme/controller.h"

namespace weft::nvme {
namespace {

/// The controller did not answer; anything else is an answer.
bool is_lost(const Error& error) { return error.code == Errc::kTimedOut || error.code == Errc::kClosed; }

Sqe queue_command(AdminOpcode opcode, uint32_t cdw10) {
  Sqe sqe{};
  sqe.opcode = uint8_t(opcode);
  sqe.cdw10 = cdw10;
  return sqe;
}

}  // namespace

uint16_t Controller::free_qid() const {
  for (uint32_t qid = 1; qid <= queues_granted_; ++qid) {
    if (find_queue([&](const IoQueue::Notes& notes) { return notes.qid == qid; }) == nullptr) return uint16_t(qid);
  }
  return 0;
}

/// Into the device: the completion queue first, which the other one names.
Task<Controller::Done> Controller::create(IoQueue& queue) {
  const QueuePair& pair = queue.pair();
  const uint32_t cdw10 = QueueCreation{.qid = pair.qid(), .entries = pair.entries()}.cdw10();
  Sqe cq = queue_command(AdminOpcode::kCreateIoCq, cdw10);
  set_prps(cq, {.prp1 = pair.cq_iova(), .prp2 = 0});
  cq.cdw11 = create_cq_cdw11(queue.vector());
  Result<uint32_t> made = co_await run_admin(cq);
  if (!made) co_return std::unexpected(made.error());
  Sqe sq = queue_command(AdminOpcode::kCreateIoSq, cdw10);
  set_prps(sq, {.prp1 = pair.sq_iova(), .prp2 = 0});
  sq.cdw11 = create_sq_cdw11(pair.qid());
  made = co_await run_admin(sq);
  if (!made && !is_lost(made.error())) {
    const Error why = made.error();
    made = co_await run_admin(queue_command(AdminOpcode::kDeleteIoCq, pair.qid()));
    if (made) made = std::unexpected(why);
  }
  if (!made) co_return std::unexpected(made.error());
  queue.notes.is_in_device = true;
  co_return Done{};
}

/// Out of it, the other way round.
Task<Controller::Done> Controller::remove(IoQueue& queue) {
  for (const AdminOpcode opcode : {AdminOpcode::kDeleteIoSq, AdminOpcode::kDeleteIoCq}) {
    Result<uint32_t> deleted = co_await run_admin(queue_command(opcode, queue.notes.qid));
    if (!deleted) co_return std::unexpected(deleted.error());
  }
  queue.notes.is_in_device = false;
  co_return Done{};
}

/// A queue that is not in the device, the first time or again.
Task<Controller::Done> Controller::open(IoQueue& queue) {
  if (state_ == State::kFailed) co_return co_await refuse(queue);
  if (queue.notes.qid == 0) {
    const uint16_t qid = free_qid();
    const uint32_t entries = std::min({options_.io_entries, cap_.queue_entries_max, QueuePair::kEntriesMax});
    auto memory = pci::DmaBuffer::allocate(function_, QueuePair::memory_bytes(entries), "an I/O queue");
    if (qid == 0 || !memory) {
      home_.log().error("{}: no I/O queue: {}", function_.name(),
                        qid == 0 ? fmt::format("the controller grants {}", queues_granted_) : std::string(memory.error().what()));
      co_return co_await refuse(queue);
    }
    queue.notes.qid = qid;
    queue.attach({.qid = qid, .entries = entries, .doorbell_stride = doorbell_stride(cap_)}, std::move(*memory), shadows_);
  }
  Done made = co_await create(queue);
  if (!made && is_lost(made.error())) co_return made;
  if (!made) {
    home_.log().error("{}: I/O queue {}: {}", function_.name(), queue.notes.qid, made.error().what());
    co_return co_await refuse(queue);
  }
  co_await Elsewhere{queue.reactor(), home_, [&queue] { queue.resume(); }};
  co_return Done{};
}

/// It fails for good, alone. Requires: the device does not use it.
Task<Controller::Done> Controller::refuse(IoQueue& queue) {
  queue.notes.has_failed = true;
  queue.notes.is_in_device = false;
  co_await Elsewhere{queue.reactor(), home_, [&queue] { queue.fail(); }};
  co_return Done{};
}

/// The first rung. What comes of it shows in the completion of the command, or in that it is late again.
Task<Controller::Done> Controller::abort(IoQueue& queue) {
  const AbortTarget target{.sqid = queue.notes.qid, .cid = *queue.notes.abort_cid};
  queue.notes.abort_cid.reset();
  if (!queue.notes.is_in_device) co_return Done{};
  counters_.aborts.add(1);
  home_.log().warn("{}: command {} of queue {} is late: aborting it", function_.name(), target.cid, target.sqid);
  Result<uint32_t> done = co_await run_admin(queue_command(AdminOpcode::kAbort, target.cdw10()));
  if (!done && is_lost(done.error())) co_return std::unexpected(done.error());
  co_return Done{};
}

/// The second rung. When Delete I/O Submission Queue has been answered, the device has completed or forgotten its commands (§5.6).
Task<Controller::Done> Controller::delete_and_renew(IoQueue& queue) {
  queue.notes.must_be_deleted = false;
  queue.notes.abort_cid.reset();
  if (!queue.notes.is_in_device) co_return Done{};
  counters_.queue_deletions.add(1);
  home_.log().warn("{}: commands of queue {} are late: deleting it", function_.name(), queue.notes.qid);
  co_await Elsewhere{queue.reactor(), home_, [&queue] { queue.halt(); }};
  Done removed = co_await remove(queue);
  if (!removed) co_return removed;
  co_await Elsewhere{queue.reactor(), home_, [&queue] { queue.end_all(IoQueue::Rest::kReap); }};
  if (queue.notes.is_closing) co_return Done{};
  co_return co_await open(queue);
}

/// Its client has let go of it.
Task<Controller::Done> Controller::destroy(IoQueue& queue) {
  if (queue.notes.is_in_device) {
    Done removed = co_await remove(queue);
    if (!removed) co_return removed;
  }
  // A round trip, so that no message to the queue is still under way.
  co_await Elsewhere{queue.reactor(), home_, [this, &queue] { function_.close_vector(queue.vector()); }};
  std::erase_if(queues_, [&](const auto& each) { return each.get() == &queue; });
  co_return Done{};
}

/// Nobody tells the device anything more.
Task<Controller::Done> Controller::halt_queues() {
  for (size_t i = 0; i < queues_.size(); ++i) {
    IoQueue& queue = *queues_[i];
    co_await Elsewhere{queue.reactor(), home_, [&queue] { queue.halt(); }};
  }
  co_return Done{};
}

/// The device has forgotten all of them.
Task<Controller::Done> Controller::end_queues() {
  for (size_t i = 0; i < queues_.size(); ++i) {
    IoQueue& queue = *queues_[i];
    queue.notes.is_in_device = false;
    queue.notes.must_be_deleted = false;
    queue.notes.abort_cid.reset();
    co_await Elsewhere{queue.reactor(), home_, [&queue] { queue.end_all(IoQueue::Rest::kDrop); }};
  }
  co_return Done{};
}

}  // namespace weft::nvme
