// For tests of the oracle: a disk with a volatile cache that can be told to lie. Executes what is
// submitted in any order, in later cycles. Not part of any library.
#pragma once
#include "base/prng.h"
#include "bdev/bdev.h"
#include "core/reactor.h"

#include <cstring>
#include <vector>

namespace weft::sim::testing_support {

enum class Lie : uint8_t {
  kNone,
  kLoseWrite,     // answers a write and does not do it
  kSwapBlocks,    // of a write of several blocks, exchanges the first two
  kStaleRead,     // returns what was there at the last flush
  kTearBlock,     // writes half of a block
  kSkipFlush,     // answers a flush and does not do it
  kSkipStable,    // a write that should be stable is not
  kLeakZeroes,    // Write Zeroes goes one block too far
  kFailForNothing,  // a read
};

/// The disk's contents and the lie, which outlive the Bdev.
struct DishonestDisk {
  explicit DishonestDisk(uint64_t blocks) : block_count(blocks), contents(blocks * kBlock), stable(contents) {}
  static constexpr uint32_t kBlock = 512;

  /// Each block that was not flushed keeps its cached or its stable contents.
  void power_cut(Prng& prng) {
    for (uint64_t i = 0; i < block_count; ++i) {
      if (prng.one_in(2)) std::memcpy(contents.data() + i * kBlock, stable.data() + i * kBlock, kBlock);
    }
    stable = contents;
  }

  uint64_t block_count;
  std::vector<std::byte> contents;
  std::vector<std::byte> stable;
  Lie lie = Lie::kNone;
  uint64_t one_in = 100;  // of the operations that the lie is about
  uint64_t operations = 0;
};

class DishonestChannel final : public bdev::Channel, public Poller {
 public:
  DishonestChannel(DishonestDisk& disk, Reactor& reactor) : disk_(disk) { reactor.add(*this); }
  ~DishonestChannel() override { poller_link.unlink(); }

  void submit(bdev::Io& io) override { submitted_.push_back(&io); }
  /// Executes some of what was submitted, in any order.
  size_t poll() override {
    size_t done = 0;
    for (size_t i = 0; i < submitted_.size();) {
      if (prng_.one_in(3)) {
        ++i;
        continue;
      }
      bdev::Io& io = *submitted_[i];
      submitted_.erase(submitted_.begin() + ptrdiff_t(i));
      execute(io);
      ++done;
    }
    return done + submitted_.size();  // what is left comes in the next cycles
  }

 private:
  void execute(bdev::Io& io) {
    std::byte* blocks = disk_.contents.data() + io.block * DishonestDisk::kBlock;
    const size_t size = io.block_count * DishonestDisk::kBlock;
    const bool is_stable = io.durability == bdev::Durability::kStable && !lies(Lie::kSkipStable);
    switch (io.op) {
      case bdev::Op::kRead:
        std::memcpy(io.data.data(), lies(Lie::kStaleRead) ? disk_.stable.data() + io.block * DishonestDisk::kBlock : blocks, size);
        if (lies(Lie::kFailForNothing)) return io.done(nvme::status::kUnrecoveredReadError.with_dnr());
        break;
      case bdev::Op::kWrite: write(io, blocks); break;
      case bdev::Op::kWriteZeroes:
      case bdev::Op::kDeallocate: {
        const bool goes_too_far = io.block + io.block_count < disk_.block_count && lies(Lie::kLeakZeroes);
        std::memset(blocks, 0, size + (goes_too_far ? DishonestDisk::kBlock : 0));
        break;
      }
      case bdev::Op::kFlush:
        if (!lies(Lie::kSkipFlush)) disk_.stable = disk_.contents;
        break;
      case bdev::Op::kCompare:
      case bdev::Op::kVerify:
      case bdev::Op::kCopy: WEFT_ASSERT(!"an Io that it takes");
    }
    if (is_stable) std::memcpy(disk_.stable.data() + io.block * DishonestDisk::kBlock, blocks, size);
    io.done(nvme::status::kSuccess);
  }
  bool lies(Lie lie) { return disk_.lie == lie && ++disk_.operations % disk_.one_in == 0; }
  void write(bdev::Io& io, std::byte* blocks) {
    constexpr size_t kBlock = DishonestDisk::kBlock;
    if (lies(Lie::kLoseWrite)) return;
    std::memcpy(blocks, io.data.data(), lies(Lie::kTearBlock) ? kBlock / 2 : io.data.size());
    if (io.block_count > 1 && lies(Lie::kSwapBlocks)) {
      std::memcpy(blocks, io.data.data() + kBlock, kBlock);
      std::memcpy(blocks + kBlock, io.data.data(), kBlock);
    }
  }

  DishonestDisk& disk_;
  Prng prng_{1};
  std::vector<bdev::Io*> submitted_;
};

class DishonestBdev final : public bdev::Bdev {
 public:
  explicit DishonestBdev(DishonestDisk& disk) : disk_(disk) {}
  const bdev::Info& info() const override { return info_; }
  Result<std::unique_ptr<bdev::Channel>> open_channel(Reactor& reactor) override {
    return std::make_unique<DishonestChannel>(disk_, reactor);
  }

 private:
  DishonestDisk& disk_;
  bdev::Info info_{.name = "dishonest",
                   .block_count = disk_.block_count,
                   .block_size = DishonestDisk::kBlock,
                   .has_volatile_cache = true,
                   .can_deallocate = true,
                   .deallocated_reads_zero = true};
};

}  // namespace weft::sim::testing_support
