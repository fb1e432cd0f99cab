// Virtual time: what will happen in the world, and when. One heap of events; events of the same instant happen in an
// order drawn from the seed, so that no code can come to rely on one. Nothing else in the simulator has a clock.
#pragma once
#include "base/prng.h"
#include "base/time.h"

#include <functional>
#include <vector>

namespace weft::sim {

class Agenda {
 public:
  using Action = std::move_only_function<void()>;

  /// Time begins at an instant that is not 0, as real clocks do.
  explicit Agenda(uint64_t seed) : random_(seed) {}

  Instant now() const { return now_; }
  /// `action` is called from step() once time has come to `when`, or in the present if that is past.
  void at(Instant when, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// When the next event is due; never() when there is none.
  Instant next() const { return events_.empty() ? Instant::never() : events_.front().when; }
  /// Moves time to the next event and lets it happen. False when there is none.
  bool step();
  /// Steps until the next event would be after `end`, then moves time there.
  void run_until(Instant end);
  /// Nothing will happen any more.
  void clear() { events_.clear(); }

 private:
  struct Event {
    Instant when;
    uint64_t lot;       // drawn: the order among events of one instant
    uint64_t sequence;  // and among equal lots
    Action action;
  };
  static bool is_later(const Event& a, const Event& b);

  Prng random_;
  Instant now_{1'000'000'000};
  uint64_t sequence_ = 0;
  std::vector<Event> events_;  // a heap, the earliest in front
};

}  // namespace weft::sim
