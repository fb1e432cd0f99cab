// What a simulated host does with its namespaces: commands of every kind, drawn from a seed, on all I/O queues of one
// controller, with hot blocks so that they overlap, in bursts and with pauses; beside them the admin queue is kept busy
// (admin_chatter.h). Every command is reported to its Volume, which judges what came back. One Workload is one
// association: when that ends, so does the workload, and the next association gets a new one. Belongs to the host's
// reactor.
#pragma once
#include "core/reactor.h"
#include "host/controller.h"
#include "sim/admin_chatter.h"
#include "sim/command_source.h"
#include "sim/io_lane.h"
#include "sim/trace.h"
#include "sim/volume.h"

#include <memory>
#include <span>
#include <vector>

namespace weft::sim {

struct WorkloadOptions {
  uint32_t host = 1;                          // in stamps and findings; one number for each association that a host keeps up
  size_t queue_depth = 4096;                  // commands outstanding on a queue at most, where the queue takes so many
  Duration pause_max = milliseconds(20);      // between changes of pace
  Duration command_timeout = seconds(60);     // without an answer for so long: the host closes the association
  bool is_write_cache_enabled = true;         // false: the host switches it off at the start
  CommandMix mix;
};

/// What has been done, for commands per second.
struct WorkloadTally {
  uint64_t commands = 0;  // completed, I/O and admin, with whatever status
  uint64_t bytes = 0;     // read and written with success
};

class Workload final : private LaneOwner {
 public:
  /// Requires: controller.connect() has succeeded. Outlives: everything but the controller outlives the workload; the
  /// controller is destroyed first, since its queues end the commands.
  Workload(Reactor& reactor, host::Controller& controller, Prng prng, const WorkloadOptions& options,
           std::span<Volume* const> volumes, Referee& referee, Trace& trace);
  /// Requires: the controller is destroyed, or nothing was ever submitted.
  ~Workload();

  /// Begins. Tells the volumes that the host has a new association.
  void start();
  /// Nothing is drawn any more; every block that any host has named is read once. To be called until it returns true: that is done. A workload
  /// that is lost in between does not get there.
  bool read_back();
  /// No new commands.
  void stop();
  /// Nothing is outstanding but Asynchronous Event Requests.
  bool is_idle() const;
  /// The association has ended, and every command with it.
  bool is_lost() const { return is_lost_; }
  /// To be asked when the association has ended, before the controller is destroyed: why it ended may be a finding.
  void judge_end();

  /// Namespaces come and go. Commands that are outstanding on one that goes are finished.
  void add(Volume& volume);
  void remove(Volume& volume);
  /// Bytes of this association's connections are corrupted on purpose from now on: digests fail, connections end.
  void expect_corruption() { is_corrupted_ = true; }

  const WorkloadTally& tally() const { return tally_; }
  /// Whether a read, a write and a flush that began at `since` or later have succeeded on every namespace.
  bool has_progressed_since(Instant since) const;
  /// From now on only what that still needs is drawn, and nothing more when it has come true.
  void prove_progress_since(Instant since) { proof_since_ = since; }

 private:
  struct Progress {
    Instant read{}, write{}, flush{};  // the begin of the newest one that succeeded
  };
  struct Target {
    Volume* volume;
    CopyBounds copy;  // from Identify; none until it has come
    Progress progress;
  };

  static constexpr uint64_t kFullBeatOneIn = 32;
  static constexpr uint64_t kBudgetMax = 8;

  void on_beat();
  void chat();
  std::optional<DrawnCommand> draw_read_back();
  std::optional<DrawnCommand> draw_proof();
  DrawnCommand draw_for(const Target& target, const CommandMix& mix);
  size_t depth() const;
  void count(const IoCommand& command);
  void wrong(const std::string& what);
  void learn(uint32_t nsid, const nvme::IdentifyNamespace& identity);
  // For the lanes.
  std::optional<DrawnCommand> draw() override;
  void began(IoCommand& command, uint16_t qid) override;
  void ended(IoCommand& command, uint16_t qid) override;
  bool may_submit() const override { return is_running_ && !is_lost_; }
  Instant now() const override { return reactor_.now(); }

  Reactor& reactor_;
  host::Controller& controller_;
  Prng prng_;
  WorkloadOptions options_;
  Referee& referee_;
  Trace& trace_;
  std::vector<Target> targets_;
  std::vector<std::unique_ptr<IoLane>> lanes_;
  AdminChatter chatter_;
  WorkloadTally tally_;
  size_t budget_ = 0;  // commands until the next beat
  bool is_running_ = false;
  bool is_reading_back_ = false;
  std::optional<Instant> proof_since_;
  size_t read_back_target_ = 0;  // index
  uint64_t read_back_lba_ = 0;
  bool is_lost_ = false;
  bool is_judged_ = false;
  bool is_corrupted_ = false;
  Timer beat_ = Timer::calling<&Workload::on_beat>(this);
};

}  // namespace weft::sim
