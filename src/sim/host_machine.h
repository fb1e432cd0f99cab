// A machine with a host: its associations, each made again whenever it is lost, and the lives of its process.
#pragma once
#include "sim/host_process.h"
#include "sim/plan.h"
#include "sim/session.h"
#include "sim/setting.h"
#include "sim/target_machine.h"

#include <functional>
#include <memory>
#include <vector>

namespace weft::sim {

class HostMachine {
 public:
  struct Options {
    size_t machine = 0;  // its place in the network
    const HostPlan& plan;
    std::span<const std::unique_ptr<TargetMachine>> targets;
    uint32_t first_session = 0;  // the number of its first session
    bool is_network_corrupting = false;
    uint64_t seed = 0;
  };
  HostMachine(const Setting& setting, Options options);

  size_t machine() const { return options_.machine; }
  static host::HostIdentity identity_of(size_t machine);

  /// Requires: there is no process.
  void start();
  HostProcess* process() { return process_.get(); }
  std::span<const std::unique_ptr<Session>> sessions() const { return sessions_; }
  /// See Session; those of later processes, too.
  void prove_work_since(Instant since);
  /// Of all its lives.
  uint64_t commands() const;
  uint64_t associations() const;

  // Faults.
  void crash();  // and starts again a moment later
  void fade();   // one of its associations: see Session

  /// Ends every session in order; `done` when there is none left. Requires: a process.
  void shut_down(std::function<void()> done);
  /// The process, if there is one, stops where it is, for good.
  void bury();

 private:
  Setting setting_;
  Options options_;
  Prng random_;
  std::unique_ptr<HostProcess> process_;
  std::vector<std::unique_ptr<Session>> sessions_;
  uint64_t life_ = 0;
  std::optional<Instant> proof_since_;
  bool is_ending_ = false;
  uint64_t past_commands_ = 0;  // of sessions that are gone
  uint64_t past_associations_ = 0;
};

}  // namespace weft::sim
