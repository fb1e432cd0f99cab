// Sends a Keep Alive command every half KATO, as a Linux host does. An answer that has not come when the next one is due ends the
// association. Owned by the controller; runs on its reactor. NVM Express Base 2.0 §3.9.
#pragma once
#include "core/reactor.h"
#include "host/queue.h"

namespace weft::host {

class KeepAlive final : private Command {
 public:
  /// Outlives: the queue outlives it, and completes its command before.
  KeepAlive(Reactor& reactor, Queue& admin, Duration kato);
  ~KeepAlive() { stop(); }
  /// Sends no more.
  void stop() { reactor_.disarm(timer_); }

 private:
  void on_timer();
  void on_completed(const nvme::Cqe& cqe) override;

  Reactor& reactor_;
  Queue& admin_;
  Duration interval_;
  bool is_outstanding_ = false;
  Timer timer_ = Timer::calling<&KeepAlive::on_timer>(this);
};

}  // namespace weft::host
