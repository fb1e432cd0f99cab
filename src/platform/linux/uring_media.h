// The media seam on io_uring. A UringMedium is one file or disk; its queues share their reactor's Ring. What io_uring cannot do (discarding on a
// disk) goes to a thread of the medium's.
#pragma once
#include <memory>

#include "media/media.h"
#include "platform/linux/blocking_workers.h"
#include "platform/linux/open_medium.h"
#include "platform/linux/ring.h"

namespace weft::platform {

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
