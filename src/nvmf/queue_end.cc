// A queue's errors, its devices that are late, and its end. queue.h says what each does.
#include "base/simulation.h"
#include "nvmf/admission.h"
#include "nvmf/controller.h"
#include "nvmf/error_log.h"
#include "nvmf/fused.h"
#include "nvmf/queue.h"
#include "nvmf/shard.h"

namespace weft::nvmf {

namespace status = nvme::status;

bool Queue::abort(uint16_t cid) {
  Command* command = slots_.find(cid);
  if (command == nullptr) return false;
  switch (command->state) {
    case CommandState::kWaitBuffer:
      if (command->awaits_scratch) return false;
      WEFT_PROBE("nvmf/abort-waiting-for-buffer");
      break;
    case CommandState::kWaitPartner: WEFT_PROBE("nvmf/abort-waiting-for-partner"); break;
    case CommandState::kFrozen: WEFT_PROBE("nvmf/abort-frozen"); break;
    case CommandState::kHeldEvent: WEFT_PROBE("nvmf/abort-held-event"); break;
    case CommandState::kReceiving: WEFT_PROBE("nvmf/abort-receiving"); break;
    case CommandState::kResponding: WEFT_PROBE("nvmf/abort-responding"); return false;
    case CommandState::kFree:
    case CommandState::kNew:
    case CommandState::kExecuting:
    case CommandState::kQuarantined: return false;
  }
  doom(*command, status::kAbortRequested);
  return true;
}

void Queue::log_error(Command& command) {
  if (controller_ == nullptr || command.status.more()) return;
  const auto entry = error_entry(command, command.status.with_more(), nvme::ErrorLogEntry::kNoParameterLocation);
  if (is_admin()) {
    controller_->errors().add(entry);
  } else if (!error_note_.send(*controller_, entry)) {
    return;
  }
  command.status = command.status.with_more();
}

void Queue::time_out(Command& command) {
  WEFT_ASSERT(command.state == CommandState::kExecuting);
  command.started = {};  // it is waited for no longer
  NamespaceView& view = *command.view;
  if (view.late_log().allow(shard_.reactor().now())) {
    shard_.reactor().log().warn("{}: {} on namespace {} does not answer; the command is failed, its buffer is kept ({} more like it)",
                                view.info().name, is_write(command.sqe) ? "a write" : "a command", view.ns().nsid(),
                                view.late_log().suppressed());
  }
  if (is_write(command.sqe)) view.ns().add_late_write();
  if (command.holds_freeze) {
    WEFT_PROBE("nvmf/time-out-thaws");
    thaw(command);
  }
  view.hold();
  view.leave(command);
  command.view = &view;  // not counted any more; says that the Io is still out, see responded()
  if (state_ == QueueState::kDetached) {
    WEFT_PROBE("nvmf/time-out-without-connection");
    slots_.quarantine(command);
    return come_home();
  }
  if (Command* other = std::exchange(command.partner, nullptr)) {
    WEFT_PROBE("nvmf/time-out-fails-fused-half");
    other->partner = nullptr;
    doom(*other, status::kAbortedFailedFused);
  }
  WEFT_PROBE("nvmf/time-out-answers-host");
  command.status = status::kInternalPathError;
  command.result = 0;
  command.response_data = {};
  log_error(command);
  answer(command);
}

void Queue::late_io_done(Command& command) {
  NamespaceView& view = *std::exchange(command.view, nullptr);
  if (is_write(command.sqe)) view.ns().remove_late_write();
  Shard& shard = view.shard();
  if (command.state == CommandState::kQuarantined) {
    if (command.queue == nullptr) {
      WEFT_PROBE("nvmf/late-io-after-its-queue");
      shard.quarantine_ended(command);
    } else {
      WEFT_PROBE("nvmf/late-io-after-response");
      command.queue->release_buffers(command);
      command.queue->let_go(command);
      command.queue->slots_.free(command);
    }
  } else {  // its response has not left yet: responded() frees it now that nothing is out
    WEFT_PROBE("nvmf/late-io-before-response-left");
  }
  view.release();
}

void Queue::detach() {
  WEFT_ASSERT(state_ != QueueState::kDetached);
  state_ = QueueState::kDetached;
  is_ending_ = true;
  shard_.buffers().cancel(*this);
  release_in_capsule_buffer();
  fused_first_ = nullptr;
  fused_ = Fused::kNone;
  slots_.for_each([this](Command& command) {
    switch (command.state) {
      case CommandState::kWaitBuffer:
        WEFT_PROBE("nvmf/detach-waiting-for-buffer");
        shard_.buffers().cancel(command);
        if (command.view != nullptr) command.view->leave(command);
        return drop(command);
      case CommandState::kFrozen:
        WEFT_PROBE("nvmf/detach-frozen");
        NamespaceView::unpark(command);
        return drop(command);
      case CommandState::kHeldEvent: controller_->events().release(command); return drop(command);
      case CommandState::kResponding:
        if (command.view != nullptr) {
          WEFT_PROBE("nvmf/detach-responding-with-io-out");
          return slots_.quarantine(command);
        }
        return drop(command);
      case CommandState::kNew: WEFT_PROBE("nvmf/detach-stalled-capsule"); return drop(command);
      case CommandState::kReceiving: WEFT_PROBE("nvmf/detach-receiving"); return drop(command);
      case CommandState::kWaitPartner: WEFT_PROBE("nvmf/detach-waiting-for-partner"); return drop(command);
      case CommandState::kExecuting:    // comes home by complete()
        if (&command == disconnect_) {
          disconnect_ = nullptr;
          return drop(command);
        }
        return;
      case CommandState::kFree:
      case CommandState::kQuarantined: return;
    }
  });
  // At once, not when its commands are home: from now on the host's next association waits for this one.
  if (is_admin() && controller_ != nullptr) controller_->end(CloseReason::kAssociationEnded);
  come_home();
}

void Queue::come_home() {
  if (slots_.taken() > 0 || is_leaving_) return;
  is_leaving_ = true;
  slots_.abandon([this](SlotChunk* chunk) { shard_.adopt(chunk); });
  if (controller_ == nullptr) {
    shard_.remove(*this);
    return ops_.on_detached();
  }
  if (is_admin()) {
    return controller_->admin_queue_gone([this] {
      shard_.remove(*this);
      ops_.on_detached();
    });
  }
  // The controller may hold messages for this queue; it is destroyed only when the controller has let go of it.
  controller_->shard().reactor().post([this, controller = controller_, heard = last_activity_] {
    controller->keep_alive().heard(heard);
    controller->remove_io_queue(*this);
    shard_.reactor().post([this] {
      shard_.remove(*this);
      ops_.on_detached();
    });
  });
}

void Queue::join_account(ControllerId controller) {
  payer_ = controller;
  account_ = &shard_.accounts().join(controller);
}

void Queue::leave_account() {
  if (!payer_) return;
  shard_.accounts().leave(*std::exchange(payer_, std::nullopt));
  account_ = &shard_.accounts().strangers();
}

void Queue::stop() {
  if (state_ == QueueState::kDetached) return;
  state_ = QueueState::kStopping;
  ops_.stop_receiving();
}

bool Queue::is_quiet() {
  // The end of the admin queue is the end of the association: it waits until the I/O queues have finished what executes.
  bool is_quiet = !is_admin() || controller_ == nullptr || controller_->io_queues().empty();
  slots_.for_each([&](const Command& command) {
    if (command.state == CommandState::kExecuting || command.state == CommandState::kResponding) is_quiet = false;
  });
  return is_quiet;
}

void Queue::close(CloseReason reason) {
  if (state_ == QueueState::kDetached || std::exchange(is_closing_, true)) return;
  ops_.close(reason);
}

}  // namespace weft::nvmf
