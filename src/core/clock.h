// The clock seam: the time, and how a reactor sleeps and is woken. One per reactor. Real side: platform/linux/event_loop.h; the simulator
// has its own. Everything that should wake a sleeping reactor (sockets, rings, a posted message) goes through wait() returning.
#pragma once
#include "base/time.h"

namespace weft {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Monotonic time. Cheap; called once per reactor cycle.
  virtual Instant now() = 0;
  /// Milliseconds since 1970-01-01 UTC; may jump.
  virtual uint64_t wall_clock_ms() = 0;
  /// Blocks until wake() was called, something that the reactor's pollers watch is ready, or `deadline` has come; may return early.
  virtual void wait(Instant deadline) = 0;
  /// Makes the wait() in progress, or else the next one, return at once. Any thread.
  virtual void wake() = 0;
};

}  // namespace weft
