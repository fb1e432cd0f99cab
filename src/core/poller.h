// Something a reactor asks for work every cycle.
#pragma once
#include <cstddef>

#include "base/intrusive_list.h"

namespace weft {

/// Registered with one reactor; both calls run on it.
class Poller {
 public:
  virtual ~Poller() = default;
  /// Takes in what is ready (completions, bytes, events) and acts on it. Bounded per call. Returns how much was done; 0 lets the reactor idle.
  virtual size_t poll() = 0;
  /// Sends out what the cycle has gathered (one system call or doorbell per destination). Returns how much is still waiting to be tried again.
  virtual size_t flush() { return 0; }
  /// The reactor is about to sleep: has whatever this polls wake it, if that needs asking for. False: there is something to poll already, so it
  /// does not sleep.
  virtual bool prepare_sleep() { return true; }

  Link poller_link;  // the reactor's
};

}  // namespace weft
