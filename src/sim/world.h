// A simulated world from beginning to end: machines, network and checkers of one plan; a phase with faults, in which
// nothing may go wrong for good; a phase without, in which everything must come right; and an end, at which nothing may
// be left.
#pragma once
#include "sim/checkers/wire_checkers.h"
#include "sim/faults.h"
#include "sim/host_machine.h"
#include "sim/plan.h"
#include "sim/setting.h"
#include "sim/stranger.h"
#include "sim/target_machine.h"

#include <memory>
#include <optional>
#include <vector>

namespace weft::sim {

struct Report {
  std::optional<Finding> finding;
  uint64_t hash = 0;
  uint64_t commands = 0;      // completed
  uint64_t associations = 0;  // made
  uint64_t faults = 0;        // injected
  Duration simulated{};
};

class World {
 public:
  /// Outlives: plan and graveyard outlive the world.
  World(const Plan& plan, Trace::Print print, Graveyard& graveyard);
  ~World();
  /// Once.
  Report run();

 private:
  /// Steps until `is_done`, a finding, or `limit`; false in the latter two cases.
  template <typename F>
  bool run_until(Duration limit, F is_done);
  bool has_recovered(Instant since) const;
  void report_stuck(Instant since);
  void check_now_and_then();
  void read_back();
  void end_hosts();
  void end_targets();
  void bury_all();

  const Plan& plan_;
  Agenda agenda_;
  Trace trace_;
  Referee referee_;
  WireCheckers checkers_{referee_};
  Network network_;
  RdmaFabric rdma_;
  Setting setting_;
  Stranger stranger_;
  std::vector<std::unique_ptr<TargetMachine>> targets_;
  std::vector<std::unique_ptr<HostMachine>> hosts_;
  std::unique_ptr<Faults> faults_;
};

}  // namespace weft::sim
