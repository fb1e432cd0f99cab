// One simulated processor core: the clock of one reactor, and what turns it. A reactor that is asleep gets a turn only
// when something wakes it or its next timer is due, as in production, so a lost wake-up shows as a reactor that never
// goes on.
#pragma once
#include "base/prng.h"
#include "core/reactor.h"
#include "sim/agenda.h"

#include <memory>

namespace weft::sim {

class Core final : public Clock {
 public:
  /// Outlives: `agenda` outlives the core.
  Core(Agenda& agenda, uint64_t seed) : agenda_(agenda), random_(seed) {}

  // Clock.
  Instant now() override { return agenda_.now(); }
  uint64_t wall_clock_ms() override;
  /// Lets the world go on until wake() or `deadline`. For who waits by himself; a reactor that run() turns never does.
  void wait(Instant deadline) override;
  void wake() override;

  /// Turns `reactor` from now on, until halt() or the core's end. Outlives: the reactor outlives that.
  void run(Reactor& reactor);
  /// Gives the reactor no turn for `time`, whatever wakes it.
  void stall(Duration time) { stalled_until_ = std::max(stalled_until_, agenda_.now() + time); }
  /// No turn any more.
  void halt() { life_.reset(); }
  /// Moves the wall clock; the monotonic one does not notice.
  void jump_wall_clock(int64_t milliseconds) { wall_offset_ms_ += milliseconds; }

 private:
  void schedule(Instant when);
  void turn();
  void fall_asleep();
  Duration pace();

  Agenda& agenda_;
  Prng random_;
  Reactor* reactor_ = nullptr;
  std::shared_ptr<char> life_ = std::make_shared<char>();  // scheduled turns die with it
  Instant next_turn_ = Instant::never();
  uint64_t ticket_ = 0;  // of the turn that counts
  Instant stalled_until_{};
  bool is_asleep_ = false;
  bool is_falling_asleep_ = false;
  bool is_woken_ = false;  // while awake: the next sleep is none
  int64_t wall_offset_ms_ = 0;
};

}  // namespace weft::sim
