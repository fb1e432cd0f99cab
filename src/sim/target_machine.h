// A machine with a target: what outlives its process (disks, and what hosts may expect of its namespaces), and the
// lives of its processes: start, crash, power cut, restart, orderly end.
#pragma once
#include "sim/disk.h"
#include "sim/kept_memory.h"
#include "sim/plan.h"
#include "sim/setting.h"
#include "sim/target_process.h"
#include "sim/volume.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft::sim {

class TargetMachine {
 public:
  static constexpr uint16_t kPort = 4420;
  struct Options {
    size_t machine = 0;  // its place in the network
    const TargetPlan& plan;
    std::vector<std::string> host_nqns;  // who may connect
    uint64_t seed = 0;
    LogListener on_log;
  };
  TargetMachine(const Setting& setting, Options options);

  size_t machine() const { return options_.machine; }
  const TargetPlan& plan() const { return options_.plan; }
  /// What hosts may expect of each namespace of a subsystem, whether it is there or not.
  std::vector<Volume*> volumes(size_t subsystem);

  /// Starts a process now, and again a moment later when that fails. Requires: there is none.
  void start();
  bool is_serving() const { return state_ == State::kServing; }
  /// Null when there is none.
  TargetProcess* process() { return process_.get(); }
  /// Requires: is_serving().
  nvmf::Subsystem& subsystem(size_t index) {
    return *process_->target().subsystems()[index + 1];
  }  // the discovery subsystem is the first

  // Faults. Each does nothing when it cannot happen now.
  void crash();  // and starts again, `pause` later
  void cut_power();
  void restore_power();
  /// A drawn disk fails in that way; `heal` mends it and has the namespace opened anew. Null: there is no disk that is
  /// well.
  using Heal = std::function<void()>;
  Heal fail_a_disk(FaultKind kind);

  // Changes while it serves; asynchronous, and without effect when the process dies in between.
  void add_namespace(size_t subsystem, size_t index);
  void remove_namespace(size_t subsystem, size_t index);
  bool has_namespace(size_t subsystem, size_t index);
  /// Adds what is missing, until nothing is.
  void want_every_namespace();
  bool has_every_namespace();
  /// What the process still holds for hosts, in words; empty when it is nothing, or when there is no process.
  std::string what_is_left();

  /// Ends the process in order and checks that nothing of it is left; `done` then. Requires: is_serving().
  void shut_down(std::function<void()> done);
  /// The process, if there is one, stops where it is, for good.
  void bury();

 private:
  enum class State : uint8_t { kOff, kStarting, kServing, kStopping, kWithoutPower };
  struct Place {  // of one namespace
    NamespacePlan plan;
    std::unique_ptr<Disk> disk;                                           // null when the medium is none
    std::unique_ptr<KeptMemory> memory = std::make_unique<KeptMemory>();  // of a RAM disk
    std::unique_ptr<Volume> volume;
    std::vector<ErrorKind> expected;  // by the volume, until the namespace is opened on a disk that is well
    bool is_disk_well = true;
    bool is_being_added = false;
    uint64_t losses = 0;  // of the disk's cache, that the volume knows of
  };
  using Added = std::move_only_function<void(Result<void>)>;

  void start_after(Duration pause);
  void add_all(size_t subsystem, size_t index);
  void add(size_t subsystem, size_t index, Added done);
  void listen();
  void give_up(const Error& error);
  Result<std::unique_ptr<bdev::Bdev>> make_device(Place& place);
  nvmf::NamespaceIdentity make_identity(size_t subsystem, size_t index);
  std::vector<Disk*> disks();
  void expect(Place& place, std::initializer_list<ErrorKind> kinds);
  void expect_no_more(Place& place);
  bool has_new_losses(const Place& place) const;
  void lose_what_a_process_loses();
  void take_losses();
  void set_options_of(Disk& disk, FaultKind kind);
  void reopen(size_t subsystem, size_t index);
  void check_nothing_left();

  Setting setting_;
  Options options_;
  Prng random_;
  State state_ = State::kOff;
  std::vector<std::vector<Place>> places_;  // by subsystem, NSID - 1
  std::unique_ptr<TargetProcess> process_;
  uint64_t life_ = 0;  // the number of the process; what an earlier one still had planned is ignored
};

}  // namespace weft::sim
