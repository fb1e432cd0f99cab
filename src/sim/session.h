// One host's association with one subsystem: connects, works, and connects again whenever it is lost, until it is told to end.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/task.h"
#include "host/controller.h"
#include "sim/host_process.h"
#include "sim/plan.h"
#include "sim/setting.h"
#include "sim/target_machine.h"
#include "sim/workload.h"

namespace weft::sim {

class Session {
 public:
  struct Options {
    size_t host = 0;      // the machine
    uint32_t number = 0;  // among all sessions of the world, for stamps; the same in each life of the host
    const AssociationPlan& plan;
    TargetMachine& target;
    bool is_network_corrupting = false;
    uint64_t seed = 0;
  };
  /// Outlives: setting, process, plan and target outlive the session.
  Session(const Setting& setting, HostProcess& process, const Options& options);
  ~Session();

  void start();
  /// The workload ends, then the association; `done` after that, on the agenda. At any time, once.
  void end(std::function<void()> done);
  /// The process dies: its sockets are closed, and what was outstanding is lost. The session is then buried.
  void die();

  const AssociationPlan& plan() const { return options_.plan; }
  /// Whether a read, a write and a flush that began at `since` or later have succeeded on every namespace.
  bool has_worked_since(Instant since) const { return workload_ != nullptr && workload_->has_progressed_since(since); }
  /// From now on it does just that, on this association and later ones.
  void prove_work_since(Instant since);
  /// No more commands but reads of all that was ever written, which the volumes judge. To be called until it returns true: all is read.
  bool read_back() { return workload_ != nullptr && workload_->read_back(); }
  /// The association goes without a word: the data of its last command comes slowly, and then nothing comes from the host's machine any more for
  /// longer than the target waits. The association that follows is an ordinary one.
  void fade() { is_fading_ = true; }
  /// What it is doing, in words.
  std::string state() const;
  uint64_t associations() const { return associations_; }
  uint64_t commands() const { return commands_ + (workload_ != nullptr ? workload_->tally().commands : 0); }

 private:
  Task<int> run();
  bool may_connect() const;
  Task<int> work();
  Task<int> fade_away();
  class LastCommand;
  void check_admission(Instant began);
  host::ConnectOptions connect_options() const;

  Setting setting_;
  HostProcess& process_;
  Options options_;
  Prng random_;
  std::optional<Task<int>> task_;
  std::vector<Volume*> volumes_;
  std::unique_ptr<Workload> workload_;  // while connected; dies after the controller
  std::unique_ptr<LastCommand> last_command_;    // dies after the controller
  std::unique_ptr<host::Controller> controller_;
  std::optional<Instant> proof_since_;
  bool is_ending_ = false;
  bool is_shutting_down_ = false;
  bool is_fading_ = false;
  uint64_t associations_ = 0;
  uint64_t commands_ = 0;
  std::function<void()> on_end_;
  std::string last_error_ = "none yet";
};

}  // namespace weft::sim
