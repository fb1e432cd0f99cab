// An association ends by keep-alive between 1.25 and 1.5 times KATO after the last command that the target received or
// completion that it sent on any of its queues: never earlier, and never later because of load. NVMe Base 2.0 §3.9.
// One that has ended otherwise before is nothing that keep-alive could end.
#pragma once
#include "sim/checkers/association_key.h"
#include "sim/checkers/target_stalls.h"
#include "sim/checkers/wire_events.h"
#include "sim/referee.h"

#include <deque>
#include <map>
#include <set>
#include <string_view>

namespace weft::sim {

class KeepAliveChecker final : public WireEvents {
 public:
  /// Outlives: the referee outlives the checker.
  explicit KeepAliveChecker(Referee& referee) : referee_(referee) {}

  /// Every line that a target logs: one of them says that it ends an association.
  void on_log(size_t target_machine, std::string_view line, Instant now);
  /// Until `until` a reactor of the target gets no turn, or a host takes nothing of it.
  void on_stall(size_t target_machine, Instant until) { stalls_.add(target_machine, until); }
  /// Looks for associations that should have ended. To be called every 50 ms or so.
  void check(Instant now);

 private:
  struct Association {
    std::string name;
    uint64_t admin_queue = 0;      // WireQueue::id
    Duration kato{};               // zero: none
    bool is_stopped = false;       // a shutdown stops the timer until the controller is enabled again
    Instant lingers_until{};       // the target has ended it for another reason, and its last responses may take until then to leave
    Instant latest{};              // when the last event was, at the latest
    std::deque<Instant> earliest;  // when events were, at the earliest: those of the last moment, and one before
    /// Commands with in-capsule data: for want of a buffer their queue may not be read, so what comes behind them may
    /// be seen late.
    std::set<std::pair<uint64_t, uint16_t>> stallable;
    /// Queues whose host has not taken all that was sent: completions may wait behind it, which the target has counted and nobody has seen.
    std::set<uint64_t> backlogs;
  };

  void on_command_taken(const WireQueue& queue, const WireCommand& command, Instant now) override;
  void on_completion(const WireQueue& queue, const WireCompletion& completion, Instant now) override;
  void on_connected(const WireQueue& queue, Instant now) override;
  void on_backlog(const WireQueue& queue, bool is_there) override;
  void on_closed(const WireQueue& queue, Side by, Instant now) override;
  Association* find(const WireQueue& queue);
  static void heard(Association& association, Instant latest, Instant earliest);

  Referee& referee_;
  TargetStalls stalls_;
  std::map<AssociationKey, Association> associations_;
  std::map<uint64_t, Association*> by_queue_;  // by WireQueue::id, of queues open at the target
};

}  // namespace weft::sim
