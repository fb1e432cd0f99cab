// Timers: an intrusive timer and the wheel that fires it. Millisecond ticks; a timer never fires early and at most one tick late, if the
// wheel is advanced in time.
#pragma once
#include <array>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/time.h"

namespace weft {

/// Embedded in its owner; must be disarmed before it dies.
class Timer {
 public:
  /// A timer that calls (owner->*Method)() when it fires.
  template <auto Method, typename Owner>
  static Timer calling(Owner* owner) {
    return Timer(owner, [](void* context) { (static_cast<Owner*>(context)->*Method)(); });
  }
  bool is_armed() const { return link_.is_linked(); }
  Instant deadline() const { return deadline_; }

 private:
  friend class TimerWheel;
  Timer(void* context, void (*fire)(void*)) : context_(context), fire_(fire) {}
  Link link_;
  Instant deadline_{};
  void* context_;
  void (*fire_)(void*);
};

class TimerWheel {
 public:
  explicit TimerWheel(Instant now) : tick_(ticks(now)) {}

  /// Arms `timer`, or moves it if it is armed. A deadline in the past fires at the next advance().
  void arm(Timer& timer, Instant deadline);
  /// Does nothing when the timer is not armed.
  void disarm(Timer& timer);
  /// Fires what is due; timers may be armed and disarmed inside. Returns how many fired.
  size_t advance(Instant now);
  /// When advance() should be called next at the latest: not after the earliest deadline, never() without timers.
  Instant next_deadline() const;

 private:
  static constexpr size_t kSlots = 4096;  // one per tick of a revolution
  static constexpr int64_t kTickNs = 1'000'000;
  using Slot = IntrusiveList<Timer, &Timer::link_>;

  static int64_t ticks(Instant instant) { return instant.ns / kTickNs; }
  size_t fire_slot(size_t index, Instant now);

  std::array<Slot, kSlots> slots_;
  std::array<uint64_t, kSlots / 64> occupied_{};  // a bit per slot that may hold timers
  int64_t tick_;                                  // ticks up to and without this one have been fired
  size_t armed_ = 0;
};

}  // namespace weft
