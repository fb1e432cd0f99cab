// The admin queue: one command at a time for the controller's coroutine, and Asynchronous Event Requests that the device holds. Owned by the
// controller, on whose reactor it runs, and lives as long; begun anew by reset() whenever the controller is. NVMe Base 2.0 §3.3, §5.2 (events).
#pragma once
#include <coroutine>
#include <functional>
#include <optional>

#include "core/reactor.h"
#include "nvme/queue_pair.h"

namespace weft::nvme {

class AdminQueue final : public Poller {
 public:
  static constexpr uint32_t kEntries = 32;
  static constexpr uint16_t kVector = 0;  // the admin queue's interrupt, by definition: the first vector that a function opens
  using OnEvent = std::move_only_function<void(uint32_t dw0)>;

  /// Outlives: `function` and `reactor` outlive the queue.
  AdminQueue(Reactor& reactor, pci::Function& function, uint32_t doorbell_stride, pci::DmaBuffer memory, OnEvent on_event);
  /// Requires: nobody waits, and the device does not use the queue.
  ~AdminQueue() override;

  uint64_t sq_iova() const { return pair_.sq_iova(); }
  uint64_t cq_iova() const { return pair_.cq_iova(); }

  /// `co_await run(sqe, time)`: how the command ended. Errors: kTimedOut, kClosed (interrupt()); then the device may still have it, and the
  /// controller must be reset before its memory is used again. Requires: nobody waits.
  class Running;
  Running run(const Sqe& sqe, Duration time);
  /// Hands the device one more Asynchronous Event Request; each is renewed when it has brought an event.
  void request_event();
  /// Whoever waits is told that nothing comes any more.
  void interrupt();
  /// The controller is about to be disabled: from here on nothing is reaped, and no doorbell written, until reset().
  void halt() { is_halted_ = true; }
  /// The device has forgotten everything. Requires: nobody waits.
  void reset();
  /// Why it cannot be used before a reset(); null: it can.
  const char* broken() const { return pair_.broken(); }

  size_t poll() override;
  size_t flush() override;
  bool prepare_sleep() override;

 private:
  void finish(Result<Completion> result);
  void give_up();
  void on_completion(uint64_t tag, const Completion& completion);
  static constexpr uint64_t kEventTag = 0;  // commands are numbered from 1

  Reactor& reactor_;
  pci::Function& function_;
  QueuePair pair_;
  OnEvent on_event_;
  Timer timer_ = Timer::calling<&AdminQueue::give_up>(this);
  uint64_t number_ = 0;                   // of the newest command: answers to older ones come too late
  std::coroutine_handle<> waiting_;
  bool is_halted_ = false;
  std::optional<Result<Completion>> result_;  // of it, until it goes on
};

class AdminQueue::Running {
 public:
  Running(AdminQueue& queue, const Sqe& sqe, Duration time) : queue_(queue), sqe_(sqe), time_(time) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  Result<Completion> await_resume();

 private:
  AdminQueue& queue_;
  Sqe sqe_;
  Duration time_;
};

inline AdminQueue::Running AdminQueue::run(const Sqe& sqe, Duration time) { return {*this, sqe, time}; }

}  // namespace weft::nvme
