#include "nvmf/controller.h"

#include <algorithm>

#include "base/simulation.h"
#include "nvmf/features.h"
#include "nvmf/identify.h"
#include "nvmf/log_pages.h"
#include "nvmf/shard.h"
#include "nvmf/target.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf {

namespace status = nvme::status;
using nvme::AdminOpcode;

Controller::Controller(Shard& shard, SubsystemView& view, HostIdentity host, Queue& admin_queue)
    : owner_(shard.reactor()),
      shard_(shard),
      view_(view),
      host_(std::move(host)),
      admin_queue_(&admin_queue),
      io_queues_granted_(uint16_t(shard.limits().io_queues)),
      events_(shard.limits().async_events),
      errors_(shard.limits().error_log_entries),
      keep_alive_(*this, shard.reactor()) {
  features_.timestamp_since = shard.reactor().now();
  arm_association_timer();
}

Controller::~Controller() {
  WEFT_ASSERT(io_queues_.empty());
  if (shutdown_flush_ != nullptr) {
    WEFT_PROBE("nvmf/association-ends-before-its-flush");
    shutdown_flush_->forget();
  }
  shard_.reactor().disarm(association_timer_);
}

Reactor& Controller::reactor() { return shard_.reactor(); }
const Limits& Controller::limits() const { return shard_.limits(); }

void Controller::execute(Command& command) {
  owner_.check();
  switch (AdminOpcode(command.sqe.opcode)) {
    case AdminOpcode::kIdentify: return identify(*this, command);
    case AdminOpcode::kGetLogPage: return get_log_page(*this, command);
    case AdminOpcode::kSetFeatures: return set_features(*this, command);
    case AdminOpcode::kGetFeatures: return get_features(*this, command);
    case AdminOpcode::kAbort: return abort_command(command);
    case AdminOpcode::kAsyncEventRequest: return events_.request(command);
    case AdminOpcode::kKeepAlive: {
      // Any command restarts the timer; this one says only whether there is a timer. NVMe Base 2.0 §5.19.
      const bool has_timer = keep_alive_.timeout_ms() != 0 || is_discovery();
      return admin_queue_->complete(command, has_timer ? status::kSuccess : status::kKeepAliveInvalid.with_dnr());
    }
    case AdminOpcode::kDeleteIoSq:
    case AdminOpcode::kCreateIoSq:
    case AdminOpcode::kDeleteIoCq:
    case AdminOpcode::kCreateIoCq: break;
  }
  admin_queue_->complete(command, status::kInvalidOpcode.with_dnr());
}

void Controller::abort_command(Command& command) {
  constexpr uint64_t kNotAborted = 1;
  if (aborts_outstanding_ == limits().aborts) return admin_queue_->complete(command, status::kAbortLimitExceeded.with_dnr());
  const auto sqid = uint16_t(command.sqe.cdw10);
  const auto cid = uint16_t(command.sqe.cdw10 >> 16);
  if (sqid == 0) {
    const bool is_self = cid == command.cid();
    const bool is_aborted = !is_self && admin_queue_->abort(cid);
    return admin_queue_->complete(command, status::kSuccess, is_aborted ? 0 : kNotAborted);
  }
  const auto queue = std::ranges::find(io_queues_, sqid, &IoQueue::qid);
  if (queue == io_queues_.end()) return admin_queue_->complete(command, status::kSuccess, kNotAborted);
  ++aborts_outstanding_;
  // The queue is not destroyed before this controller has let go of it, so it is there when the message arrives; the command waits for the answer.
  queue->shard->reactor().post([this, cid, &command, target = queue->queue] {
    const bool is_aborted = target->abort(cid);
    reactor().post([this, &command, is_aborted] {
      --aborts_outstanding_;
      command.queue->complete(command, status::kSuccess, is_aborted ? 0 : kNotAborted);
    });
  });
}

// --- I/O queues -----------------------------------------------------------------------------------------------------------------------------

nvme::Status Controller::add_io_queue(uint16_t qid, Shard& shard, Queue& queue, uint32_t& result) {
  constexpr nvme::Status kInvalid = status::kConnectInvalidParameters.with_dnr();
  result = fabrics::invalid_in_sqe(offsetof(fabrics::ConnectSqe, qid));
  if (is_discovery() || qid > io_queues_granted_) return kInvalid;
  result = fabrics::invalid_in_data(offsetof(fabrics::ConnectData, cntlid));
  if (is_ending_) {
    WEFT_PROBE("nvmf/io-connect-to-ending-association");
    return kInvalid;
  }
  result = 0;
  if (!is_ready() || (csts_ & nvme::Csts::kShstMask) != 0) return status::kCommandSequenceError.with_dnr();
  // Without DNR: a queue of that id may still be on its way out.
  if (std::ranges::find(io_queues_, qid, &IoQueue::qid) != io_queues_.end()) return status::kCommandSequenceError;
  io_queues_.push_back({qid, &shard, &queue});
  return status::kSuccess;
}

void Controller::remove_io_queue(Queue& queue) {
  const auto erased = std::erase_if(io_queues_, [&](const IoQueue& entry) { return entry.queue == &queue; });
  WEFT_ASSERT(erased == 1);
  queues_changed();
}

void Controller::delete_io_queues(CloseReason reason, std::move_only_function<void()> then) {
  for (const IoQueue& entry : io_queues_) {
    if (WEFT_PLANTED("io-queue-outlives-association")) break;
    entry.shard->reactor().post([queue = entry.queue, reason] { queue->close(reason); });
  }
  on_queues_gone_.push_back(std::move(then));
  queues_changed();
}

void Controller::queues_changed() {
  if (!io_queues_.empty()) return;
  for (auto& then : std::exchange(on_queues_gone_, {})) then();
}

void Controller::publish_settings(std::move_only_function<void()> then) {
  struct Publication {
    size_t missing;
    std::move_only_function<void()> then;
  };
  if (io_queues_.empty()) return then();
  auto* publication = new Publication{io_queues_.size(), std::move(then)};
  const QueueSettings settings{.is_write_cache_enabled = features_.is_write_cache_enabled};
  for (const IoQueue& entry : io_queues_) {
    // The queue outlives the message: it goes only when this controller has let go of it.
    entry.shard->reactor().post([this, publication, settings, queue = entry.queue] {
      queue->apply(settings);
      reactor().post([publication] {
        if (--publication->missing > 0) return;
        const std::unique_ptr<Publication> last{publication};
        last->then();
      });
    });
  }
}

// --- the end --------------------------------------------------------------------------------------------------------------------------------

void Controller::release_events() {
  for (Command* command : events_.take_all()) command->queue->complete(*command, status::kAbortedSqDeleted);
}

void Controller::fail() { csts_ |= nvme::Csts::kCfs; }

void Controller::end(CloseReason reason) {
  if (is_ending_) return;
  is_ending_ = true;
  reactor().log().info("controller {} of {}: host {}: the association ends: {}", cntlid_, subsystem().config().nqn, host_.nqn,
                       name_of(reason));
  keep_alive_.stop();
  reactor().disarm(association_timer_);
  if (cntlid_ != 0) shard_.home().post([this] { subsystem().registry().mark_dying(cntlid_); });
  delete_io_queues(reason, [] {});
  if (admin_queue_ != nullptr) admin_queue_->close(reason);
}

void Controller::admin_queue_gone(std::move_only_function<void()> done) {
  admin_queue_ = nullptr;
  end(CloseReason::kAssociationEnded);
  shard_.home().post([this, done = std::move(done)]() mutable {
    subsystem().registry().mark_dying(cntlid_);
    // Connects that the registry has sent here before this are ahead of the next message: afterwards, no queue can join any more.
    reactor().post([this, done = std::move(done)]() mutable {
      delete_io_queues(CloseReason::kAssociationEnded, [this, done = std::move(done)]() mutable {
        shard_.home().post([this, done = std::move(done)]() mutable {
          subsystem().registry().remove(cntlid_);
          reactor().post([this, done = std::move(done)]() mutable {
            shard_.remove(*this);  // destroys this
            done();
          });
        });
      });
    });
  });
}

void Controller::arm_association_timer() {
  reactor().arm(association_timer_, milliseconds(limits().association_ms));
}

void Controller::association_idle() {
  WEFT_PROBE("nvmf/association-idle");
  end(CloseReason::kAssociationEnded);
}

}  // namespace weft::nvmf
