// A step of a coroutine on another reactor than its own.
#pragma once
#include <concepts>
#include <coroutine>
#include <utility>

#include "core/reactor.h"

namespace weft {

/// `co_await Elsewhere{there, here, f}`: runs `f` on the reactor `there` and goes on on `here`, after the messages that either sent the other before.
template <std::invocable F>
class Elsewhere {
 public:
  Elsewhere(Reactor& there, Reactor& here, F f) : there_(there), here_(here), f_(std::move(f)) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    there_.post([this, awaiting] {
      f_();
      here_.post([awaiting] { awaiting.resume(); });
    });
  }
  void await_resume() const noexcept {}

 private:
  Reactor& there_;
  Reactor& here_;
  F f_;
};

}  // namespace weft
