// A simulated disk, or a file on one: it outlives the processes that use it (through sim/disk_medium.h), and crashes,
// fails and is late as its options say. Belongs to the world; everything it does is drawn from its own random numbers
// and happens on the agenda, whose events must not outlive it.
//
// An operation, from submit() to take():
//
//   submitted ─start()─► working ─time─► ready ─take()─► its owner is told
//                          │  ▲
//                          ▼  │ resume(), give_back_lost()
//                      held or lost
//
// Between start and ready it takes effect block by block. Memory that is lent for a write must not change until take();
// that of a read is poisoned at submit() and must hold exactly that, or what the disk put there. A breach is a finding
// of the checker "buffer-ownership".
#pragma once
#include "base/prng.h"
#include "bdev/bdev.h"
#include "media/media.h"
#include "sim/agenda.h"
#include "sim/disk_blocks.h"
#include "sim/disk_options.h"
#include "sim/referee.h"
#include "sim/trace.h"

#include <map>
#include <span>
#include <vector>

namespace weft::sim {

/// One process's way to a disk on one reactor, told when an operation is ready to be taken.
class DiskClient {
 public:
  virtual void on_ready(Writer number) = 0;

 protected:
  ~DiskClient() = default;
};

class Disk {
 public:
  struct World {
    Agenda& agenda;
    Referee& referee;
    Trace& trace;
  };
  struct Completion {
    media::Operation* operation;
    int32_t result;
  };

  Disk(const World& world, const DiskShape& shape, Prng random, const DiskOptions& options);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  const DiskShape& shape() const { return shape_; }
  /// What a block device on the whole disk says of itself.
  bdev::Info info(uint32_t block_size) const;

  // Faults. Options count for operations that start from now on.
  const DiskOptions& options() const { return options_; }
  void set_options(const DiskOptions& options) { options_ = options; }
  /// Nothing is answered until resume().
  void hang() { is_hanging_ = true; }
  void resume();
  /// Answers what was lost. An effect that was lost too is had now, over newer data.
  void give_back_lost();
  /// The disk is pulled: what is under way and what comes fails, and the volatile cache is gone. Who had it open keeps
  /// nothing but errors; who opens it after heal() finds it again.
  void remove();
  bool is_removed() const { return is_removed_; }
  /// Ends all faults: no errors and no outliers from now on, resume(), give_back_lost(), and the disk is back. What it
  /// cannot do by nature (DiskOptions::is_unsupported) it still cannot.
  void heal();

  /// Everything that is done is stable now: its controller was shut down in order. Does nothing after a failed sync.
  void flush();

  // Crashes. Nobody is told of what was outstanding.
  /// Each outstanding operation has taken effect, in whole or in part, or has not. The cache stays.
  void process_died();
  /// Forgets one operation as process_died() forgets all. Does nothing when there is none of that number.
  void abandon(Writer number);
  /// As process_died(); then each block keeps the value of the last completed sync or any newer one.
  void power_cut();

  // For checkers.
  size_t outstanding() const { return operations_.size(); }
  size_t outstanding(const DiskClient& client) const;
  size_t lost() const;
  const DiskBlocks& blocks() const { return blocks_; }
  const DiskCounts& counts() const { return counts_; }

  // For DiskQueue.
  /// A process opens it. Returns how often it was pulled: the process has the disk as long as that number stays the same. What a failed sync left
  /// unsynced is lost now.
  uint64_t open();
  uint64_t removals() const { return removals_; }
  bool is_there_since(uint64_t removals) const { return !is_removed_ && removals == removals_; }
  /// Takes the operation over, and lets it wait for start(). Returns its number.
  Writer submit(DiskClient& client, media::Operation& operation, uint64_t removals);
  /// Lets it begin. Does nothing when it died with its process.
  void start(Writer number);
  /// Of one that on_ready() named; operation is null when it died with its process.
  Completion take(Writer number);

 private:
  enum class State : uint8_t { kSubmitted, kWorking, kHeld, kLost, kReady };
  struct Work {
    DiskClient* client;
    media::Operation* operation;  // its owner's; untouched once the process has died
    media::Kind kind;
    uint64_t offset;
    uint32_t length;
    uint64_t removals;  // when its process opened the disk
    State state = State::kSubmitted;
    int32_t result = 0;
    uint64_t effect_bytes = 0;  // of the range, from its start
    BlockMask left{};           // blocks of that which have not yet taken effect
    bool will_be_lost = false;
    bool is_effect_lost = false;  // with the completion
    bool drops_unsynced = false;  // kSync
    Coverage coverage;            // kSync
    std::vector<std::byte> lent;  // what the memory must hold; of a write, also what is written
  };

  /// Of a sync that is submitted now, with that number.
  Coverage coverage_before(Writer number) const;
  void decide(Work& work);
  void fail(Work& work, int error_number);
  void succeed(Work& work);
  Duration draw_latency();
  bool touches_bad_range(const Work& work) const;
  bool is_whole(const Work& work) const;
  bool is_acceptable(const Work& work) const;
  void finish_after(Writer number, Duration delay);
  void finish(Writer number);
  void complete(Writer number, Work& work);
  void take_effect(Writer number, Work& work, BlockMask which);
  void land(Work& work, BlockMask which);
  void check_lent(const Work& work);
  void finish_all(State state);
  void die(Writer number, Work& work);

  World world_;
  DiskShape shape_;
  Prng random_;
  DiskOptions options_;
  DiskBlocks blocks_;
  DiskCounts counts_;
  std::map<Writer, Work> operations_;  // outstanding
  Writer next_number_ = 1;
  Instant last_due_{};  // when operations keep their order: when the last one is due
  uint64_t removals_ = 0;
  bool has_failed_sync_ = false;  // since it was opened: no sync succeeds any more
  bool is_removed_ = false;
  bool is_hanging_ = false;
};

}  // namespace weft::sim
