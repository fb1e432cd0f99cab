// One I/O to a block device, embedded in whoever submits it. Five operations that every device has; three that it may have (Channel::takes()), and that
// nvmf/ makes of reads and writes where it does not. Everything else of the NVM command set is made of these there. Blocks are the device's own, bounds
// are checked before submit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/intrusive_list.h"
#include "wire/nvme/status.h"

namespace weft::bdev {

enum class Op : uint8_t {
  kRead,
  kWrite,
  kFlush,
  kWriteZeroes,
  kDeallocate,
  kCompare,  // Compare Failure where a block differs from the data
  kVerify,   // a media error where a block cannot be read
  kCopy,
};
inline constexpr size_t kOps = 8;
/// For kWrite, kWriteZeroes and kCopy: whether the data must be on stable media when the I/O is done.
enum class Durability : uint8_t { kCached, kStable };
/// For kWriteZeroes: whether the device may give the space back, as long as the blocks read as zeroes.
enum class Zeroing : uint8_t { kKeepAllocated, kMayDeallocate };

struct Io {
  static constexpr size_t kScratchSize = 64;  // bytes of typed room for the module that executes it

  Op op = Op::kRead;
  Durability durability = Durability::kCached;
  Zeroing zeroing = Zeroing::kKeepAllocated;
  uint64_t block = 0;         // first block
  uint64_t block_count = 0;   // > 0, but for kFlush
  uint64_t source = 0;        // kCopy: the first of the blocks that are copied to `block`; none of them is written
  std::span<std::byte> data;  // kRead, kWrite, kCompare: block_count blocks; contiguous; the submitter's, lent until done
  /// Set by the module with a failed write: what made it stable has failed, so that cached writes before it may be lost, too.
  bool has_sync_failed = false;
  /// Called exactly once, on the submitter's reactor, maybe before submit() returns. The Io may be reused or freed inside.
  void (*on_done)(Io&, nvme::Status) = nullptr;
  void* context = nullptr;  // the submitter's

  Link link;  // the module's while the Io is submitted
  alignas(16) std::byte scratch[kScratchSize];

  void done(nvme::Status status) { on_done(*this, status); }
};

}  // namespace weft::bdev
