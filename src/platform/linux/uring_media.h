// The media seam on io_uring. A UringMedium is one file or disk; its queues share their reactor's Ring. What io_uring cannot do (discarding on a
// disk) goes to a thread of the medium's.
#pragma once
#include <vector>

#include "media/media.h"
#include "platform/linux/blocking_workers.h"
#include "platform/linux/open_medium.h"
#include "platform/linux/ring.h"

namespace weft::platform {

/// The rings of all reactors. Each is made when its reactor opens its first queue and kept. Outlives the mediums; dies when the reactors run no
/// more and before they and their loops do.
class Rings {
 public:
  /// loops[i] wakes the reactor with index i; null where nothing has to (tests).
  explicit Rings(std::span<EventLoop* const> loops) : slots_(loops.size()) {
    for (size_t i = 0; i < loops.size(); ++i) slots_[i].loop = loops[i];
  }
  /// On `reactor`. Errors: as Ring::create().
  Result<Ring*> ring_of(Reactor& reactor);

 private:
  struct Slot {  // belongs to the reactor with its index
    EventLoop* loop = nullptr;
    std::unique_ptr<Ring> ring;
  };
  std::vector<Slot> slots_;
};

class UringQueue {
 public:
  /// `discards` may be null: then the ring does everything.
  UringQueue(const OpenMedium& medium, Ring& ring, Reactor& reactor, BlockingWorkers* discards);
  void submit(media::Operation& operation);
  bool has_vanished() const;

 private:
  const OpenMedium& medium_;
  Ring& ring_;
  std::unique_ptr<BlockingQueue> discards_;
};

class UringMedium {
 public:
  using Queue = UringQueue;
  /// Errors: kLimit.
  static Result<std::unique_ptr<UringMedium>> create(OpenMedium medium, Rings& rings);
  media::Alignment alignment() const { return medium_.alignment; }
  Result<uint64_t> size_bytes() const { return size_bytes_of(medium_.fd.get(), medium_.kind); }
  Result<std::unique_ptr<Queue>> open_queue(Reactor& reactor);

 private:
  UringMedium(OpenMedium medium, Rings& rings) : medium_(std::move(medium)), rings_(rings) {}
  OpenMedium medium_;
  Rings& rings_;
  std::unique_ptr<BlockingWorkers> discards_;  // disks only
};
static_assert(media::SizedMedium<UringMedium>);

}  // namespace weft::platform
