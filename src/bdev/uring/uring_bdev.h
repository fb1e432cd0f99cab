// A block device on a file-like medium (media/media.h): splits, continues and retries what the medium does in parts, makes writes stable, finds
// another way where the medium cannot zero or deallocate, and turns errno into NVMe statuses. A template over the medium, instantiated in
// platform/linux/media_engine.cc for io_uring, for threads and for NVMe commands, and by the simulator for its own. One UringChannel per reactor.
#pragma once
#include <memory>

#include "bdev/bdev.h"
#include "bdev/uring/uring_channel.h"
#include "core/memory.h"
#include "media/media.h"

namespace weft::bdev {

template <media::Medium M>
class UringBdev final : public Bdev {
 public:
  /// `info` describes `medium`; info.block_size is a multiple of its offset alignment. Outlives: `memory` outlives the device.
  UringBdev(std::unique_ptr<M> medium, Info info, MemorySource& memory)
      : medium_(std::move(medium)), info_(std::move(info)), memory_(memory) {
    WEFT_ASSERT(info_.block_size % medium_->alignment().offset == 0);
    WEFT_ASSERT(info_.block_count > 0);
  }

  const Info& info() const override { return info_; }
  Result<uint64_t> blocks_available() override {
    if constexpr (media::SizedMedium<M>) {
      const auto bytes = medium_->size_bytes();
      if (!bytes) return std::unexpected(bytes.error());
      return *bytes / info_.block_size;
    } else {
      return info_.block_count;
    }
  }

  Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) override {
    auto region = memory_.map(UringChannel<M>::kRegionBytes, info_.name);
    if (!region) return std::unexpected(region.error());
    auto zeroes = memory_.map(UringChannel<M>::kZeroesBytes, info_.name);
    if (!zeroes) return std::unexpected(zeroes.error());
    auto queue = medium_->open_queue(reactor);
    if (!queue) return std::unexpected(queue.error());
    return std::make_unique<UringChannel<M>>(std::move(*queue), medium_->alignment(), media::lengths_of(*medium_), info_,
                                             std::move(*region), std::move(*zeroes));
  }

 private:
  std::unique_ptr<M> medium_;
  Info info_;
  MemorySource& memory_;
};

}  // namespace weft::bdev
