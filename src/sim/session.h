// One host's association with one subsystem: connects, works, and connects again whenever it is lost, until it is told
// to end.
#pragma once
#include "core/task.h"
#include "host/controller.h"
#include "sim/host_process.h"
#include "sim/plan.h"
#include "sim/setting.h"
#include "sim/target_machine.h"

#include <functional>
#include <memory>

namespace weft::sim {

class Session {
 public:
  /// Outlives: all of them outlive the session.
  Session(const Setting& setting, HostProcess& process, size_t host, const AssociationPlan& plan, TargetMachine& target,
          uint64_t seed);

  void start();
  /// The workload ends, then the association; `done` after that, from the host's reactor. At any time.
  void end(std::function<void()> done);

  const AssociationPlan& plan() const { return plan_; }
  bool is_connected() const { return is_connected_; }
  /// Whether commands of every kind have completed, on an association that still lives, that began after `since`.
  bool has_worked_since(Instant since) const { return is_connected_ && connected_at_ > since; }
  /// The process has died: whatever was outstanding is lost.
  void lose_outstanding() {}
  uint64_t associations() const { return associations_; }

 private:
  Task<int> run();
  Task<Result<void>> work();

  Setting setting_;
  HostProcess& process_;
  size_t host_;
  const AssociationPlan& plan_;
  TargetMachine& target_;
  Prng random_;
  std::optional<Task<int>> task_;
  std::unique_ptr<host::Controller> controller_;
  bool is_connected_ = false;
  Instant connected_at_{};
  bool is_ending_ = false;
  uint64_t associations_ = 0;
  std::function<void()> on_end_;
};

}  // namespace weft::sim
