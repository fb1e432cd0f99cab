#include "nvme/admin_queue.h"

#include <utility>

#include "base/assert.h"

namespace weft::nvme {

AdminQueue::AdminQueue(Reactor& reactor, pci::Function& function, uint32_t doorbell_stride, pci::DmaBuffer memory, OnEvent on_event)
    : reactor_(reactor),
      function_(function),
      // No shadow doorbells here: §B.5 wants the register written for the admin queue in any case.
      pair_(function, {.qid = 0, .entries = kEntries, .doorbell_stride = doorbell_stride}, std::move(memory), {}),
      on_event_(std::move(on_event)) {
  reactor.add(*this);
}

AdminQueue::~AdminQueue() {
  WEFT_ASSERT(!waiting_);
  on_event_ = {};
  pair_.end_all();
  reactor_.remove(*this);
}

void AdminQueue::Running::await_suspend(std::coroutine_handle<> awaiting) {
  WEFT_ASSERT(!queue_.waiting_ && !queue_.result_);
  queue_.waiting_ = awaiting;
  if (queue_.pair_.broken() != nullptr || !queue_.pair_.has_room()) {
    queue_.result_ = fail(Errc::kClosed, "the admin queue cannot be used");
    return;
  }
  const Recipient recipient{[](void* owner, uint64_t tag, const Completion& completion) {
                              static_cast<AdminQueue*>(owner)->on_completion(tag, completion);
                            },
                            &queue_, ++queue_.number_};
  const auto slot = queue_.pair_.begin(recipient, Instant::never());
  sqe_.cid = slot.cid;
  slot.sqe = sqe_;
  queue_.reactor_.arm(queue_.timer_, time_);
}

Result<Completion> AdminQueue::Running::await_resume() {
  Result<Completion> result = std::move(*queue_.result_);
  queue_.result_.reset();
  return result;
}

void AdminQueue::request_event() {
  const auto slot = pair_.begin({[](void* owner, uint64_t tag, const Completion& completion) {
                                   static_cast<AdminQueue*>(owner)->on_completion(tag, completion);
                                 },
                                 this, kEventTag},
                                Instant::never());
  slot.sqe.opcode = uint8_t(AdminOpcode::kAsyncEventRequest);
}

void AdminQueue::on_completion(uint64_t tag, const Completion& completion) {
  if (tag != kEventTag) {
    if (tag == number_ && waiting_) finish(completion);
    return;
  }
  if (!completion.is_answered || !completion.status.ok() || !on_event_) return;  // an abort or a limit: it is not asked again
  request_event();
  on_event_(completion.dw0);
}

/// The coroutine goes on from poll(), not from here: it may do with the queue what cannot be done while it reaps.
void AdminQueue::finish(Result<Completion> result) {
  if (timer_.is_armed()) reactor_.disarm(timer_);
  result_ = std::move(result);
}

void AdminQueue::give_up() { finish(fail(Errc::kTimedOut, "the controller did not answer an admin command in time")); }

void AdminQueue::interrupt() {
  if (waiting_ && !result_) finish(fail(Errc::kClosed, "the controller has failed"));
}

void AdminQueue::reset() {
  WEFT_ASSERT(!waiting_);
  pair_.end_all();
  is_halted_ = false;
}

size_t AdminQueue::poll() {
  size_t done = is_halted_ ? 0 : pair_.reap();
  if (pair_.broken() != nullptr) interrupt();
  if (waiting_ && result_) {
    ++done;
    std::exchange(waiting_, nullptr).resume();
  }
  return done;
}

size_t AdminQueue::flush() {
  if (pair_.broken() == nullptr && !is_halted_) pair_.flush();
  return result_.has_value();  // what waits goes on in the next cycle
}

bool AdminQueue::prepare_sleep() {
  if (pair_.outstanding() == 0 || is_halted_) return true;
  function_.arm(kVector);
  return !pair_.has_completions();
}

}  // namespace weft::nvme
