// Task<T>: a coroutine for long sequences of the control plane (bring-up, hand-shakes, shutdown), never for the I/O path: each one
// allocates a frame. It does nothing until it is awaited or started, is awaited at most once, and is owned by who made it. Parameters
// are passed by value or refer to what outlives the task; no capturing lambda is a Task. A suspended task may only be destroyed when
// nothing will resume it any more: whoever it waits for is ended first.
#pragma once
#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "core/reactor.h"

namespace weft {

template <typename T>
class [[nodiscard]] Task {
 public:
  class promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  /// Runs the task until it first suspends; `on_done` is called when it has ended, on the reactor that resumed it. The task must outlive that call.
  void start(std::move_only_function<void()> on_done) {
    WEFT_ASSERT(handle_ && !handle_.done());
    handle_.promise().on_done = std::move(on_done);
    handle_.resume();
  }
  bool is_done() const { return handle_.done(); }
  /// The result, moved out. Requires: is_done(); once.
  T take() {
    WEFT_ASSERT(is_done());
    return std::move(*handle_.promise().result);
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  T await_resume() { return take(); }

 private:
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

template <typename T>
class Task<T>::promise_type {
 public:
  Task get_return_object() { return Task{Handle::from_promise(*this)}; }
  std::suspend_always initial_suspend() noexcept { return {}; }
  auto final_suspend() noexcept { return Final{}; }
  template <typename U>
    requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    result.emplace(std::forward<U>(value));
  }
  void unhandled_exception() { std::terminate(); }  // none of ours throws; see ARCHITECTURE.md, "Errors"

  std::optional<T> result;
  std::coroutine_handle<> awaiting;
  std::move_only_function<void()> on_done;

 private:
  struct Final {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle handle) const noexcept {
      promise_type& promise = handle.promise();
      if (promise.awaiting) return promise.awaiting;
      // The function is moved out first: it may destroy the task, and with it the promise.
      auto tell = std::move(promise.on_done);
      if (tell) tell();
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
};

/// `co_await Pause{reactor, duration}`: goes on after that time.
class Pause {
 public:
  Pause(Reactor& reactor, Duration duration) : reactor_(reactor), duration_(duration) {}
  ~Pause() { reactor_.disarm(timer_); }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    reactor_.arm(timer_, duration_);
  }
  void await_resume() const noexcept {}

 private:
  void resume() { awaiting_.resume(); }
  Reactor& reactor_;
  Duration duration_;
  std::coroutine_handle<> awaiting_;
  Timer timer_ = Timer::calling<&Pause::resume>(this);
};

/// Runs `reactor` until the task has ended, and stops it for good. For programs whose whole work is one task, on the caller's thread.
template <typename T>
T run_to_end(Reactor& reactor, Task<T> task) {
  task.start([&reactor] { reactor.stop(); });
  reactor.run();
  return task.take();
}

}  // namespace weft
