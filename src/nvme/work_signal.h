// What a coroutine waits for when it has nothing to do: somebody has noted work. On one reactor; set() may be called from anywhere there, also from
// inside what the coroutine must not be resumed from, since it goes on by a message.
#pragma once
#include <coroutine>
#include <utility>

#include "core/reactor.h"

namespace weft::nvme {

class WorkSignal final : private Message {
 public:
  explicit WorkSignal(Reactor& reactor) : reactor_(reactor) {}

  void set() {
    is_set_ = true;
    if (waiting_ && !is_posted_) {
      is_posted_ = true;
      reactor_.post(*this);
    }
  }

  // co_await: goes on when set() was called since the last time.
  bool await_ready() const noexcept { return is_set_; }
  void await_suspend(std::coroutine_handle<> awaiting) { waiting_ = awaiting; }
  void await_resume() noexcept { is_set_ = false; }

 private:
  void deliver() override {
    is_posted_ = false;
    std::exchange(waiting_, nullptr).resume();
  }

  Reactor& reactor_;
  std::coroutine_handle<> waiting_;
  bool is_set_ = false;
  bool is_posted_ = false;
};

}  // namespace weft::nvme
