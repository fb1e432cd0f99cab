// One command awaited by a coroutine, with a time-out. Control plane only. The coroutine goes on from the reactor's mailbox, not from
// inside the queue, so it may close and destroy queues. Requires: it is awaited to its end, which a closed queue brings about as well.
#pragma once
#include <coroutine>
#include <optional>

#include "core/reactor.h"
#include "host/queue.h"

namespace weft::host {

class Exchange final : public Command, private Message {
 public:
  /// `what` names the command in errors. Outlives: reactor, queue and `what` outlive the exchange.
  Exchange(Reactor& reactor, Queue& queue, Duration timeout, const char* what)
      : reactor_(reactor), queue_(queue), timeout_(timeout), what_(what) {}

  bool await_ready() const noexcept { return !queue_.has_room(); }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    queue_.submit(*this);
    reactor_.arm(timer_, timeout_);
  }
  /// The completion, whatever its status; nothing when the queue took no command.
  std::optional<nvme::Cqe> await_resume() const noexcept { return cqe_; }

 private:
  void on_completed(const nvme::Cqe& cqe) override {
    reactor_.disarm(timer_);
    cqe_ = cqe;
    reactor_.post(static_cast<Message&>(*this));
  }
  void deliver() override { awaiting_.resume(); }
  void on_timeout();

  Reactor& reactor_;
  Queue& queue_;
  Duration timeout_;
  const char* what_;
  std::coroutine_handle<> awaiting_;
  std::optional<nvme::Cqe> cqe_;
  Timer timer_ = Timer::calling<&Exchange::on_timeout>(this);
};

}  // namespace weft::host
