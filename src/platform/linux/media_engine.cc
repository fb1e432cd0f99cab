#include "platform/linux/media_engine.h"

#include <fmt/format.h>

#include "bdev/uring/uring_bdev.h"
#include "platform/linux/nvme_generic_media.h"
#include "platform/linux/thread_media.h"

namespace weft::bdev {
template class UringBdev<platform::UringMedium>;
template class UringBdev<platform::ThreadMedium>;
template class UringBdev<platform::NvmeGenericMedium>;
}  // namespace weft::bdev

namespace weft::platform {
namespace {

template <media::Medium M>
Result<std::unique_ptr<bdev::Bdev>> device_on(Result<std::unique_ptr<M>> medium, bdev::Info info, MemorySource& memory) {
  if (!medium) return std::unexpected(medium.error());
  return std::make_unique<bdev::UringBdev<M>>(std::move(*medium), std::move(info), memory);
}

}  // namespace

MediaEngine::MediaEngine(MediaChoice choice, std::span<EventLoop* const> loops, Log& log) {
  if (choice == MediaChoice::kThreads) {
    log.info("files and disks: threads, as configured");
  } else if (const auto available = probe_io_uring<FileCommands>(); !available) {
    log.warn("files and disks: threads, which are slower, because {}", available.error().what());
  } else {
    rings_.emplace(loops);
    nvme_rings_.emplace(loops);
    log.info("files and disks: io_uring");
  }
}

Result<std::unique_ptr<bdev::Bdev>> MediaEngine::make_device(OpenMedium medium, bdev::Info info, MemorySource& memory) {
  if (rings_) return device_on(UringMedium::create(std::move(medium), *rings_), std::move(info), memory);
  return device_on(ThreadMedium::create(std::move(medium)), std::move(info), memory);
}

Result<std::unique_ptr<bdev::Bdev>> MediaEngine::make_device(OpenNvmeGeneric opened, MemorySource& memory) {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::kUnsupported, fmt::format("{}: NVMe commands go by io_uring, and {}; the block device beside it needs none", opened.info.name, why));
  };
  if (!nvme_rings_) return refuse("this process does without");
  if (const auto available = probe_io_uring<NvmeCommands>(); !available) return refuse(available.error().what());
  bdev::Info info = opened.info;
  return std::make_unique<bdev::UringBdev<NvmeGenericMedium>>(std::make_unique<NvmeGenericMedium>(std::move(opened), *nvme_rings_), std::move(info), memory);
}

}  // namespace weft::platform
