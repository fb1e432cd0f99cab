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
#include <map>
#include <memory>
#include <optional>
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

  // Faults. Each does nothing when it cannot happen now.
  void crash();  // and starts again, `pause` later
  void cut_power();
  void restore_power();
  /// A drawn disk fails in that way; `heal` mends it and has the namespace opened anew. Null: there is no disk that is
  /// well.
  using Heal = std::function<void()>;
  Heal fail_a_disk(FaultKind kind);

  // Changes while it serves (target_changes.cc); asynchronous, without effect when they cannot happen now or the process dies in between. What
  // was asked of sizes and access holds for later processes, too.
  void add_namespace(size_t subsystem, size_t index);
  void remove_namespace(size_t subsystem, size_t index);
  bool has_namespace(size_t subsystem, size_t index);
  /// Requires: 0 < blocks, at most as many as its plan says.
  void resize_namespace(size_t subsystem, size_t index, uint64_t blocks);
  void add_subsystem(size_t subsystem);
  void remove_subsystem(size_t subsystem);
  /// `host_nqn` may not connect any more, or again.
  void set_admission(size_t subsystem, const std::string& host_nqn, bool is_admitted);
  /// Since when no Connect of the host can succeed; absent: it may.
  std::optional<Instant> forbidden_since(size_t subsystem, const std::string& host_nqn) const;
  void listen();
  void unlisten();
  /// Faults are over: whatever took something away is undone, until nothing is missing.
  void heal();
  /// In words; empty: it is all there.
  std::string what_is_missing();
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
    uint64_t blocks;                                                      // how large it is to be
    std::unique_ptr<Disk> disk;                                           // null when the medium is none
    std::unique_ptr<NvmeDevice> nvme;                                     // that has the disk; null when none has
    std::unique_ptr<KeptMemory> memory = std::make_unique<KeptMemory>();  // of a RAM disk
    std::unique_ptr<Volume> volume;
    std::vector<ErrorKind> expected;  // by the volume, until the namespace is opened on a disk that is well
    bool is_disk_well = true;
    bool is_being_added = false;
    bool is_retrying = false;  // to add it
    bool is_being_resized = false;
    uint64_t losses = 0;  // of the disk's cache, that the volume knows of
  };
  struct Group {  // a subsystem
    std::vector<Place> places;             // NSID - 1
    nvmf::Subsystem* subsystem = nullptr;  // in this process; null while there is none
    bool is_changing = false;              // it is coming or going
    uint64_t changes = 0;                  // of access: the newest one counts
    bool is_to_be_told = false;            // who may connect
    std::map<std::string, Instant> forbidden;  // host NQNs; since when it holds, Instant::never() while it is being told
  };
  using Added = std::move_only_function<void(Result<void>)>;

  void start_after(Duration pause);
  void add_all(size_t subsystem, size_t index);
  void add(size_t subsystem, size_t index, Added done);
  void give_up(const Error& error);
  nvmf::SubsystemConfig config_of(size_t subsystem) const;
  void want_everything();
  void await_end_of(size_t subsystem, uint32_t index);
  void tell_admission(size_t subsystem);
  template <typename F>
  void on_home(F action);
  void crash_if_something_was_lost();
  Place& place(size_t subsystem, size_t index) { return groups_[subsystem].places[index]; }
  void open_device(Place& place, NvmeSeat::Opened opened);
  std::unique_ptr<NvmeDevice> make_controller(const Place& place);
  Result<std::unique_ptr<bdev::Bdev>> make_device(Place& place);
  nvmf::NamespaceIdentity make_identity(size_t subsystem, size_t index);
  std::vector<Disk*> disks();
  void expect(Place& place, std::initializer_list<ErrorKind> kinds);
  void expect_no_more(Place& place);
  bool has_new_losses(const Place& place) const;
  void lose_what_a_process_loses();
  void take_losses();
  void forget_process();
  DiskOptions draw_abilities(MediumKind medium);
  void set_options_of(Place& place, FaultKind kind);
  void reopen(size_t subsystem, size_t index);
  void check_nothing_left();

  Setting setting_;
  Options options_;
  Prng random_;
  State state_ = State::kOff;
  std::vector<Group> groups_;  // the subsystems
  std::unique_ptr<TargetProcess> process_;
  std::optional<net::Address> listening_;
  uint64_t era_ = 0;   // changes asked for in an earlier one are void
  uint64_t life_ = 0;  // the number of the process; what an earlier one still had planned is ignored
};

}  // namespace weft::sim
