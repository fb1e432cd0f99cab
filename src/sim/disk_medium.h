// A simulated disk as one process has it open: the block-media seam (media/media.h) on sim/disk.h, so that
// bdev::UringBdev runs on it unchanged. A queue is a poller of its reactor, as io_uring's is: what a cycle submits
// reaches the disk when the reactor flushes, and what is ready wakes the reactor and is delivered from poll().
#pragma once
#include "core/reactor.h"
#include "media/media.h"
#include "sim/disk.h"

#include <memory>
#include <vector>

namespace weft::sim {

class DiskQueue final : public Poller, private DiskClient {
 public:
  /// Outlives: `disk` and `reactor` outlive the queue. `removals` as of when the process opened the disk.
  DiskQueue(Disk& disk, uint64_t removals, Reactor& reactor);
  /// Requires: nothing outstanding, or the process died.
  ~DiskQueue() override;

  void submit(media::Operation& operation);
  bool has_vanished() { return !disk_.is_there_since(removals_); }

  size_t poll() override;
  size_t flush() override;

 private:
  static constexpr size_t kPollMax = 256;  // completions of one poll
  void on_ready(Writer number) override;

  Disk& disk_;
  uint64_t removals_;
  Reactor& reactor_;
  std::vector<Writer> gathered_;  // submitted in this cycle
  std::vector<Writer> ready_;     // in the order in which they became so
};

class DiskMedium {
 public:
  using Queue = DiskQueue;
  /// Opens `disk`, which outlives the medium.
  explicit DiskMedium(Disk& disk) : disk_(disk), removals_(disk.open()) {}
  media::Alignment alignment() const { return disk_.shape().alignment; }
  Result<uint64_t> size_bytes() const { return disk_.shape().size_bytes; }
  Result<std::unique_ptr<Queue>> open_queue(Reactor& reactor) {
    return std::make_unique<DiskQueue>(disk_, removals_, reactor);
  }

 private:
  Disk& disk_;
  uint64_t removals_;
};
static_assert(media::SizedMedium<DiskMedium>);

}  // namespace weft::sim
