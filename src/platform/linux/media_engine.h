// How this process reaches files and disks: io_uring where it may, threads where it is forbidden. Decided once, at start. NVMe commands take io_uring.
#pragma once
#include <memory>
#include <optional>

#include "base/log.h"
#include "bdev/bdev.h"
#include "core/memory.h"
#include "platform/linux/nvme_generic.h"
#include "platform/linux/open_medium.h"
#include "platform/linux/uring_media.h"

namespace weft::platform {

enum class MediaChoice : uint8_t { kUringIfPossible, kThreads };

/// Outlives the devices made by it; dies when the reactors run no more and before they and their event loops do.
class MediaEngine {
 public:
  /// loops[i] is the event loop of the reactor with index i, or null where nothing has to wake it. Says in `log` what it took and why.
  MediaEngine(MediaChoice choice, std::span<EventLoop* const> loops, Log& log);
  bool uses_io_uring() const { return rings_.has_value(); }
  /// A device on an opened medium. Errors: kLimit. `memory` outlives the device.
  Result<std::unique_ptr<bdev::Bdev>> make_device(OpenMedium medium, bdev::Info info, MemorySource& memory);
  /// The same on a namespace that takes commands. Errors: kUnsupported where there is no io_uring for them.
  Result<std::unique_ptr<bdev::Bdev>> make_device(OpenNvmeGeneric opened, MemorySource& memory);

 private:
  std::optional<Rings> rings_;
  std::optional<NvmeRings> nvme_rings_;
};

}  // namespace weft::platform
