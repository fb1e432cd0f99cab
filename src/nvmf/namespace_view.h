// A namespace as one shard uses it: the device channel, and the shard's half of freezing. Lives on the shard's reactor. Commands that use it
// are counted, so that a freeze or a removal knows when those that ran before it are done.
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/intrusive_list.h"
#include "base/log.h"
#include "nvmf/command.h"
#include "nvmf/freezer.h"
#include "nvmf/namespace.h"

namespace weft::nvmf {

class NamespaceView {
 public:
  NamespaceView(Shard& shard, Namespace& ns, uint32_t subsystem, std::unique_ptr<bdev::Channel> channel,
                NamespaceCounters& counters)
      : shard_(shard),
        namespace_(ns),
        subsystem_(subsystem),
        info_(ns.info()),
        block_count_max_(info_.block_count),
        channel_(std::move(channel)),
        counters_(counters) {}
  /// Requires: no command is counted.
  ~NamespaceView();

  Shard& shard() { return shard_; }
  Namespace& ns() { return namespace_; }
  /// Index of its subsystem.
  uint32_t subsystem() const { return subsystem_; }
  const bdev::Info& info() const { return info_; }
  /// Commands that come now are held to the new size; those that a device has end as they do.
  void set_block_count(uint64_t block_count);
  /// The largest size that any command has been admitted by.
  uint64_t block_count_max() const { return block_count_max_; }
  bdev::Channel& channel() { return *channel_; }
  NamespaceCounters& counters() { return counters_; }

  /// Counts the command in and returns true; or parks it (kFrozen is the caller's to set) and returns false when its range is frozen.
  bool enter(Command& command, BlockRange range) {
    if (frozen_ && parks(command, range)) return false;
    enter_exclusive(command);
    return true;
  }
  /// Counts in a command of who has frozen the range.
  void enter_exclusive(Command& command) {
    WEFT_ASSERT(command.view == nullptr);
    command.view = this;
    command.view_epoch = epoch_;
    ++running_[epoch_];
  }
  /// Counts the command out.
  void leave(Command& command) {
    WEFT_ASSERT(command.view == this && running_[command.view_epoch] > 0);
    command.view = nullptr;
    const bool is_last = --running_[command.view_epoch] == 0;
    if (is_last && (on_drained_ || on_idle_)) last_has_left(command.view_epoch);
  }
  /// Keeps the view alive without holding up a freeze: for a fused pair that waits for its freeze, for an Io that timed out and is still in the
  /// device.
  void hold() { ++held_; }
  void release() {
    WEFT_ASSERT(held_ > 0);
    if (--held_ == 0 && on_idle_) last_has_left(epoch_);
  }
  bool is_idle() const { return running_[0] + running_[1] + held_ == 0; }
  /// Takes a parked command out of the list: it is aborted or its queue goes.
  static void unpark(Command& command) { command.link.unlink(); }

  /// Parks from now on what overlaps `range`; calls `drained` when what ran before is done (maybe at once).
  bool is_frozen() const { return frozen_.has_value(); }
  void freeze(BlockRange range, std::move_only_function<void()> drained);
  /// Gives the parked commands to `resume`, in order.
  void thaw(std::move_only_function<void(Command&)> resume);
  /// Calls `drained` when no command is counted any more.
  void on_idle(std::move_only_function<void()> drained);

  /// Of lines that say that the device does not answer: thousands of commands may time out together.
  RateLimit& late_log() { return late_log_; }

 private:
  bool parks(Command& command, BlockRange range);
  /// Nobody is counted in `epoch`, or nobody holds the view.
  void last_has_left(uint8_t epoch);

  Shard& shard_;
  Namespace& namespace_;
  uint32_t subsystem_;
  bdev::Info info_;
  uint64_t block_count_max_;
  std::unique_ptr<bdev::Channel> channel_;
  NamespaceCounters& counters_;
  std::array<uint32_t, 2> running_{};  // commands by the epoch in which they entered; a freeze starts a new epoch and waits for the old one
  uint8_t epoch_ = 0;
  uint32_t held_ = 0;
  std::optional<BlockRange> frozen_;
  IntrusiveList<Command, &Command::link> parked_;
  std::move_only_function<void()> on_drained_;
  std::move_only_function<void()> on_idle_;
  RateLimit late_log_;
};

}  // namespace weft::nvmf
