// The keep-alive timer of one controller, restarted by traffic on any of its queues (TBKAS). Expires between 1.25 and 1.5 times KATO after the
// last command received or completion sent: when its own reactor has seen nothing for 1.25 KATO, it asks the other queues' reactors first, so
// that I/O elsewhere keeps the association alive and load never makes it late. NVMe Base 2.0 §3.9.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/reactor.h"

namespace weft::nvmf {

class Controller;

class KeepAlive {
 public:
  KeepAlive(Controller& controller, Reactor& reactor) : controller_(controller), reactor_(reactor) {}
  ~KeepAlive() { stop(); }

  /// KATO in ms, rounded up to seconds (KAS); 0 switches the timer off, but for a discovery controller, which then has limits.discovery_idle_ms.
  void set_timeout_ms(uint32_t kato_ms);
  uint32_t timeout_ms() const { return kato_ms_; }
  /// A queue that goes had its last traffic then.
  void heard(Instant last_activity) { gone_activity_ = std::max(gone_activity_, last_activity); }
  void stop() { reactor_.disarm(timer_); }

 private:
  void check();
  void answered(Instant last_activity);
  void arm(Instant last_activity);
  Duration patience() const;

  Controller& controller_;
  Reactor& reactor_;
  uint32_t kato_ms_ = 0;
  size_t answers_missing_ = 0;
  Instant gone_activity_{};  // of queues that are no more
  Instant last_activity_{};
  Timer timer_ = Timer::calling<&KeepAlive::check>(this);
};

}  // namespace weft::nvmf
