// A queue and how far it has come: opening can be awaited, and its end is kept and told to the controller. Owned by the controller.
#pragma once
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>

#include "core/reactor.h"
#include "host/queue.h"

namespace weft::host {

class ManagedQueue final : private QueueEvents, private Message {
 public:
  /// `on_end` is called once when an opened queue ends, not from where the queue may be destroyed.
  ManagedQueue(Reactor& reactor, std::move_only_function<void(const Error&)> on_end) : reactor_(reactor), on_end_(std::move(on_end)) {}

  /// Starts to open it. Errors: the transport's. Requires: not started before.
  Result<void> start(Transport& transport, const Endpoint& endpoint, const QueueOptions& options);
  /// Requires: start() has succeeded.
  Queue& queue() { return *queue_; }
  bool is_open() const { return is_open_; }
  /// Ends it, if it was started.
  void close(const Error& reason) {
    if (queue_ != nullptr) queue_->close(reason);
  }
  /// Ends it at once, and with it every command. Nothing may be asked of it any more.
  void destroy() { queue_.reset(); }
  /// Why it has ended, if it has.
  const Error* end() const { return end_ ? &*end_ : nullptr; }

  /// `co_await queue.opened(timeout)`: goes on when the queue is open or has ended; after `timeout` it is made to end.
  class Opened;
  Opened opened(Duration timeout);

 private:
  void on_open() override;
  void on_closed(const Error& reason) override;
  void deliver() override;
  void on_timeout();
  void wake();

  Reactor& reactor_;
  std::move_only_function<void(const Error&)> on_end_;
  std::unique_ptr<Queue> queue_;
  bool is_open_ = false;
  bool is_waking_ = false;  // the message is on its way
  std::optional<Error> end_;
  std::coroutine_handle<> waiting_;
  Timer timer_ = Timer::calling<&ManagedQueue::on_timeout>(this);
};

class ManagedQueue::Opened {
 public:
  Opened(ManagedQueue& queue, Duration timeout) : queue_(queue), timeout_(timeout) {}
  bool await_ready() const noexcept { return queue_.is_open_ || queue_.end_.has_value(); }
  void await_suspend(std::coroutine_handle<> awaiting) {
    queue_.waiting_ = awaiting;
    queue_.reactor_.arm(queue_.timer_, timeout_);
  }
  void await_resume() const noexcept {}

 private:
  ManagedQueue& queue_;
  Duration timeout_;
};

inline ManagedQueue::Opened ManagedQueue::opened(Duration timeout) { return Opened{*this, timeout}; }

}  // namespace weft::host
