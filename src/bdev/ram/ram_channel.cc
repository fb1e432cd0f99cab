#include "bdev/ram/ram_channel.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.h"
#include "core/reactor.h"

namespace weft::bdev {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPrefetchBytes = 512;  // the smallest block

struct ZeroState {
  std::span<std::byte> left;
};
static_assert(sizeof(ZeroState) <= Io::kScratchSize);

ZeroState& state_of(Io& io) { return *std::launder(reinterpret_cast<ZeroState*>(io.scratch)); }

bool is_zero(std::span<const std::byte> bytes) {
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// Writes only where something else than zeroes is: memory that nobody has written yet is not taken from the system by a host that trims the disk.
void zero(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kPage);
    if (!is_zero(bytes.first(count))) std::memset(bytes.data(), 0, count);
    bytes = bytes.subspan(count);
  }
}

}  // namespace

RamChannel::RamChannel(Reactor& reactor, std::span<std::byte> memory, uint32_t block_size)
    : memory_(memory), block_size_(block_size), block_count_(memory.size() / block_size) {
  reactor.add(*this);
}

RamChannel::~RamChannel() {
  WEFT_ASSERT(zeroing_.empty());
  poller_link.unlink();
}

std::span<const std::byte> RamChannel::lend(uint64_t block, uint64_t block_count) {
  const auto blocks = range(block, block_count);
  // The first lines only: that is what was measured to pay (docs/performance.md).
#pragma GCC unroll 8
  for (size_t line = 0; line < kPrefetchBytes; line += 64) __builtin_prefetch(blocks.data() + line);
  return blocks;
}

bool RamChannel::store(uint64_t block, std::span<const std::byte> data) {
  WEFT_ASSERT(block < block_count_ && data.size() <= (block_count_ - block) * block_size_);
  std::memcpy(memory_.data() + block * block_size_, data.data(), data.size());
  return true;
}

void RamChannel::submit(Io& io) {
  const auto blocks = range(io.block, io.block_count);
  switch (io.op) {
    case Op::kRead: std::memcpy(io.data.data(), blocks.data(), blocks.size()); break;
    case Op::kWrite: std::memcpy(blocks.data(), io.data.data(), blocks.size()); break;
    case Op::kWriteZeroes:
    case Op::kDeallocate:
      if (blocks.size() > kZeroBytesPerCycle) return start_zeroing(io, blocks);
      zero(blocks);
      break;
    case Op::kFlush: break;  // memory has no cache in front of it that could be lost alone
    case Op::kCompare:
    case Op::kVerify:
    case Op::kCopy: WEFT_ASSERT(!"an Io that it takes");
  }
  io.done(nvme::status::kSuccess);
}

void RamChannel::start_zeroing(Io& io, std::span<std::byte> blocks) {
  new (io.scratch) ZeroState{blocks};
  zeroing_.push_back(io);
}

size_t RamChannel::poll() {
  Io* io = zeroing_.front();
  if (io == nullptr) return 0;
  auto& left = state_of(*io).left;
  const size_t count = std::min(left.size(), kZeroBytesPerCycle);
  zero(left.first(count));
  left = left.subspan(count);
  if (left.empty()) {
    io->link.unlink();
    io->done(nvme::status::kSuccess);
  }
  return 1;
}

std::span<std::byte> RamChannel::range(uint64_t block, uint64_t block_count) const {
  WEFT_ASSERT(block + block_count <= block_count_);
  return memory_.subspan(block * block_size_, block_count * block_size_);
}

}  // namespace weft::bdev
