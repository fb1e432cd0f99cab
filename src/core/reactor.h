// A reactor: one thread's poll loop, and the owner of everything that lives on it. One cycle, in this order:
//   1. the time is read;  2. the mailbox is emptied;
//   3. every poller polls, in the order in which they registered (media before network, so that completions leave in the same cycle);
//   4. timers that are due fire: what has come before the time was up is not late, however long the thread had no processor;
//   5. every poller flushes, in the same order;
//   6. with nothing done for the spin time, every poller prepares, and the reactor sleeps until something wakes it or the next timer is due.
// run() is the production loop; the simulator calls what it consists of: run_once(), fall_asleep(), wake_up().
#pragma once
#include <atomic>
#include <concepts>
#include <memory>
#include <optional>

#include "base/log.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "core/poller.h"
#include "core/timer.h"

namespace weft {

enum class PollMode : uint8_t { kAdaptive, kAlways };

class Reactor {
 public:
  struct Options {
    uint32_t index = 0;
    PollMode poll = PollMode::kAdaptive;
    Duration spin = microseconds(50);  // how long to poll after the last work before sleeping
  };
  /// Outlives: `clock` and `sink` outlive the reactor.
  Reactor(const Options& options, Clock& clock, LogSink& sink);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  uint32_t index() const { return options_.index; }
  /// The time at the start of this cycle.
  Instant now() const { return now_; }
  Clock& clock() { return clock_; }
  Log& log() { return log_; }

  /// Any thread. The message is delivered in a later cycle.
  void post(Message& message);
  /// Any thread. Runs `f` on this reactor in a later cycle. Allocates: control plane only.
  template <std::invocable F>
  void post(F f);

  void arm(Timer& timer, Duration after) { timers_.arm(timer, now_ + after); }
  void arm_at(Timer& timer, Instant deadline) { timers_.arm(timer, deadline); }
  void disarm(Timer& timer) { timers_.disarm(timer); }

  void add(Poller& poller) { pollers_.push_back(poller); }
  void remove(Poller& poller) { poller.poller_link.unlink(); }

  enum class Turn : uint8_t { kWorked, kIdle };
  /// One cycle without the sleep. Returns whether anything was done or is waiting to be flushed.
  Turn run_once();
  /// The sleep, for who turns the reactor by run_once(): from here on post() calls clock().wake(). Returns when the next timer is due, or nothing
  /// when there is something to do already, and then the reactor is awake. Requires: awake, and the last cycle was idle.
  std::optional<Instant> fall_asleep();
  /// Ends the sleep, before the next cycle.
  void wake_up();
  /// Cycles until stop(). The caller's thread becomes the reactor's.
  void run();
  /// Any thread. run() returns after the cycle it is in.
  void stop();

  /// Nanoseconds spent in cycles that did work, and their number; read by the reactor's own thread or after run().
  uint64_t busy_ns() const { return busy_ns_; }
  uint64_t busy_cycles() const { return busy_cycles_; }

  /// Requires: the caller is on this reactor. A no-op before the first cycle.
  void assert_here() const { WEFT_ASSERT(thread_ == nullptr || thread_ == this_thread()); }

 private:
  /// Who calls, in one instruction: where the thread's own variables lie.
  static const void* this_thread() { return __builtin_thread_pointer(); }

  Options options_;
  Clock& clock_;
  Log log_;
  Instant now_;
  Instant last_work_;
  TimerWheel timers_;
  IntrusiveList<Poller, &Poller::poller_link> pollers_;
  const void* thread_ = nullptr;  // whose this_thread() it is; null before the first cycle
  uint64_t busy_ns_ = 0;
  uint64_t busy_cycles_ = 0;
  Mailbox mailbox_;
  std::atomic<bool> is_sleeping_{false};
  std::atomic<bool> is_stopping_{false};
};

/// Names the reactor an object belongs to; check() asserts that the caller is on it.
class OnReactor {
 public:
  explicit OnReactor(Reactor& reactor) : reactor_(&reactor) {}
  void check() const { reactor_->assert_here(); }
  Reactor& reactor() const { return *reactor_; }

 private:
  Reactor* reactor_;
};

template <std::invocable F>
void Reactor::post(F f) {
  struct Closure final : Message {
    explicit Closure(F body) : f(std::move(body)) {}
    void deliver() override {
      const std::unique_ptr<Closure> self{this};
      f();
    }
    F f;
  };
  post(*new Closure(std::move(f)));
}

}  // namespace weft
