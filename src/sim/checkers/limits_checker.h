// What the target announces and grants stays within its limits (core/limits.h), and hosts keep to what it announces.
#pragma once
#include "core/limits.h"
#include "sim/checkers/association_key.h"
#include "sim/checkers/wire_events.h"
#include "sim/referee.h"

#include <compare>
#include <fmt/format.h>
#include <map>
#include <set>
#include <utility>

namespace weft::sim {

class LimitsChecker final : public WireEvents {
 public:
  /// Outlives: the referee outlives the checker.
  explicit LimitsChecker(Referee& referee) : referee_(referee) {}
  /// Before the first connection to `target_machine`; other targets are not judged.
  void set(size_t target_machine, const Limits& limits) { limits_[target_machine] = limits; }

 private:
  void on_initialized(const WireQueue& queue, uint32_t maxh2cdata, Instant now) override;
  void on_command_sent(const WireQueue& queue, const WireCommand& command, Instant now) override;
  void on_r2t(const WireQueue& queue, const nvme::Sqe& sqe, uint32_t length, Instant now) override;
  void on_completion(const WireQueue& queue, const WireCompletion& completion, Instant now) override;
  void on_connected(const WireQueue& queue, Instant now) override;
  void on_closed(const WireQueue& queue, Side by, Instant now) override;
  const Limits* limits_of(const WireQueue& queue) const;

  template <typename... Args>
  void broken(const WireQueue& queue, fmt::format_string<Args...> format, Args&&... args) {
    referee_.fail("limits", fmt::format("{}: {}", queue.name, fmt::format(format, std::forward<Args>(args)...)));
  }

  struct Peer {
    size_t target_machine, host_machine;
    bool is_rdma;  // each transport counts its own connections
    friend auto operator<=>(const Peer&, const Peer&) = default;
  };
  static Peer peer_of(const WireQueue& queue) { return {queue.target_machine, queue.host_machine, queue.is_rdma}; }
  Referee& referee_;
  std::map<size_t, Limits> limits_;
  std::map<Peer, std::set<uint64_t>> connections_;  // initialized, open at the target: WireQueue::id
  std::map<std::pair<size_t, std::string>, std::set<uint64_t>> controllers_;  // admin queues, by target and subsystem
};

}  // namespace weft::sim
