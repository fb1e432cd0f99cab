#include "nvme/io_queue.h"

#include <utility>

#include "base/assert.h"
#include "base/simulation.h"
#include "nvme/controller.h"

namespace weft::nvme {

IoQueue::IoQueue(Controller& controller, Reactor& reactor, IoQueueClient& client, pci::Function& function, uint16_t vector, Timing timing)
    : controller_(controller), reactor_(reactor), client_(&client), function_(function), vector_(vector), timing_(timing) {
  reactor.add(*this);
}

void IoQueue::attach(const QueuePair::Shape& shape, pci::DmaBuffer memory, const ShadowDoorbells& shadows) {
  WEFT_ASSERT(!pair_);
  pair_.emplace(function_, shape, std::move(memory), shadows);
}

QueuePair::Slot IoQueue::begin(const Recipient& recipient) {
  WEFT_ASSERT(state_ == State::kLive);
  if (!timer_.is_armed()) reactor_.arm(timer_, timing_.command);
  return pair_->begin(recipient, reactor_.now() + timing_.command);
}

void IoQueue::close() {
  WEFT_ASSERT(outstanding() == 0);
  client_ = nullptr;
  if (timer_.is_armed()) reactor_.disarm(timer_);
  reactor_.remove(*this);
  controller_.give_back(*this);
}

size_t IoQueue::poll() {
  if (state_ != State::kLive) return 0;
  const size_t reaped = pair_->reap();
  if (pair_->broken() != nullptr) {
    WEFT_PROBE("nvme/queue-broken");
    halt();
    controller_.report_broken(*this, pair_->broken());
    return reaped + 1;
  }
  if (reaped != 0) client_->on_room();
  return reaped;
}

size_t IoQueue::flush() {
  if (state_ == State::kLive) pair_->flush();
  return 0;
}

bool IoQueue::prepare_sleep() {
  if (state_ != State::kLive || pair_->outstanding() == 0) return true;
  if (!WEFT_PLANTED("nvme-interrupt-not-armed")) function_.arm(vector_);
  return !pair_->has_completions();
}

void IoQueue::look_for_late() {
  if (state_ == State::kLive) {
    // One at a time: what helps the first, helps others that hang for the same reason.
    if (const auto late = pair_->take_overdue(reactor_.now(), reactor_.now() + timing_.command)) controller_.report_late(*this, *late);
  }
  if (outstanding() != 0) reactor_.arm(timer_, timing_.command / 4);
}

void IoQueue::halt() {
  if (state_ == State::kLive) state_ = State::kHalted;
}

void IoQueue::end_all(Rest rest) {
  WEFT_ASSERT(state_ != State::kLive);
  if (client_ == nullptr || !pair_) return;
  if (rest == Rest::kReap) {
    while (pair_->reap() != 0) {
    }
  }
  pair_->end_all();
}

void IoQueue::resume() {
  if (client_ == nullptr) return;
  state_ = State::kLive;
  client_->on_queue_changed();
}

void IoQueue::fail() {
  if (client_ == nullptr) return;
  state_ = State::kFailed;
  if (pair_) pair_->end_all();
  client_->on_queue_changed();
}

}  // namespace weft::nvme
