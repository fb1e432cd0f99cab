// Controllers and their queues: a controller ID names one association at a time, I/O queues join one that lives, each
// with an ID of its own, and when the admin queue is gone the others follow in bounded time. NVMe Base 2.0 §3.3.1.
#pragma once
#include "sim/checkers/association_key.h"
#include "sim/checkers/target_stalls.h"
#include "sim/checkers/wire_events.h"
#include "sim/referee.h"

#include <fmt/format.h>
#include <map>
#include <optional>
#include <utility>

namespace weft::sim {

class AssociationChecker final : public WireEvents {
 public:
  /// Outlives: the referee outlives the checker.
  explicit AssociationChecker(Referee& referee) : referee_(referee) {}

  /// Until `until` a reactor of the target gets no turn, or a host takes nothing of it.
  void on_stall(size_t target_machine, Instant until) { stalls_.add(target_machine, until); }
  /// Looks for queues that should have been closed. To be called every 50 ms or so.
  void check(Instant now);

 private:
  struct Association {
    std::string hostnqn;
    std::array<std::byte, 16> hostid{};
    uint64_t admin_queue = 0;                 // WireQueue::id
    std::map<uint64_t, WireQueue> io_queues;  // open at the target, by id
    std::optional<Instant> ended;             // the target has closed the admin queue
  };

  void on_connected(const WireQueue& queue, Instant now) override;
  void on_closed(const WireQueue& queue, Side by, Instant now) override;
  void admin_connected(const WireQueue& queue);
  void io_connected(const WireQueue& queue);

  template <typename... Args>
  void broken(const WireQueue& queue, fmt::format_string<Args...> format, Args&&... args) {
    referee_.fail("association", fmt::format("{}: {}", queue.name, fmt::format(format, std::forward<Args>(args)...)));
  }

  Referee& referee_;
  TargetStalls stalls_;
  std::map<AssociationKey, Association> associations_;
};

}  // namespace weft::sim
