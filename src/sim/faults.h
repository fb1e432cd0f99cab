// What goes wrong, and when: draws faults from the plan's kinds, one after the other, until it is told to heal; then
// nothing is wrong any more.
#pragma once
#include "sim/checkers/wire_checkers.h"
#include "sim/host_machine.h"
#include "sim/plan.h"
#include "sim/setting.h"
#include "sim/stranger.h"
#include "sim/target_machine.h"

#include <memory>
#include <set>
#include <span>
#include <vector>

namespace weft::sim {

class Faults {
 public:
  struct Stage {
    std::span<const std::unique_ptr<TargetMachine>> targets;
    std::span<const std::unique_ptr<HostMachine>> hosts;
    Stranger& stranger;
    WireCheckers& checkers;
  };
  Faults(const Setting& setting, const Stage& stage, const FaultPlan& plan, uint64_t seed);

  void start();
  /// Ends all faults, and every change that took something away. What they have done, connections lost and processes
  /// dead, is for the others to mend.
  void heal();
  uint64_t count() const { return count_; }

 private:
  void plan_next();
  void inject(FaultKind kind);
  void hold_a_link();
  void hang_unheard();
  void remove_a_device();
  void give_a_device(size_t host);
  void stall_a_target();
  void change_a_namespace();
  void forbid_a_host();
  TargetMachine& any_target() { return *stage_.targets[random_.below(stage_.targets.size())]; }
  size_t any_machine() { return random_.one_in(2) ? any_target().machine() : any_host().machine(); }
  HostMachine& any_host() { return *stage_.hosts[random_.below(stage_.hosts.size())]; }
  /// How long something lasts: mostly short, now and then longer than the time-outs.
  Duration draw_length();
  template <typename F>
  void later(Duration delay, F action);

  Setting setting_;
  Stage stage_;
  const FaultPlan& plan_;
  Prng random_;
  bool is_over_ = false;
  std::set<size_t> hosts_without_device_;  // by place among the hosts
  uint64_t count_ = 0;
};

}  // namespace weft::sim
