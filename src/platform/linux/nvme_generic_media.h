// The media seam on NVMe commands to the kernel's driver, past its block layer and its page cache. A NvmeGenericMedium is one namespace; its queues share
// their reactor's NvmeRing.
#pragma once
#include <memory>

#include "media/media.h"
#include "platform/linux/blocking_operation.h"
#include "platform/linux/nvme_generic.h"
#include "platform/linux/ring.h"

namespace weft::platform {

class NvmeGenericQueue {
 public:
  NvmeGenericQueue(const OpenNvmeGeneric& medium, NvmeRing& ring) : medium_(medium), ring_(ring), handle_(ring.commands().add(medium.commanded)) {}
  ~NvmeGenericQueue() { ring_.commands().remove(handle_); }
  NvmeGenericQueue(const NvmeGenericQueue&) = delete;
  NvmeGenericQueue& operator=(const NvmeGenericQueue&) = delete;

  void submit(media::Operation& operation) {
    operation.handle = handle_;
    ring_.submit(operation);
  }
  bool has_vanished() const { return disk_has_vanished(medium_.claim.get()); }

 private:
  const OpenNvmeGeneric& medium_;
  NvmeRing& ring_;
  int32_t handle_;
};

class NvmeGenericMedium {
 public:
  using Queue = NvmeGenericQueue;
  NvmeGenericMedium(OpenNvmeGeneric opened, NvmeRings& rings) : opened_(std::move(opened)), rings_(rings) {}
  media::Alignment alignment() const { return opened_.alignment; }
  media::Lengths lengths() const { return opened_.lengths; }
  Result<uint64_t> size_bytes() const { return size_bytes_of(opened_.claim.get(), FileKind::kBlockDevice); }
  Result<std::unique_ptr<Queue>> open_queue(Reactor& reactor) {
    auto ring = rings_.ring_of(reactor);
    if (!ring) return std::unexpected(ring.error());
    return std::make_unique<NvmeGenericQueue>(opened_, **ring);
  }

 private:
  OpenNvmeGeneric opened_;
  NvmeRings& rings_;
};
static_assert(media::SizedMedium<NvmeGenericMedium> && media::LimitedMedium<NvmeGenericMedium>);

}  // namespace weft::platform
