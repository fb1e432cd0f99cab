// The data side of a RAM disk. One per reactor, on the same memory.
#pragma once
#include "bdev/bdev.h"
#include "core/poller.h"

namespace weft {
class Reactor;
}

namespace weft::bdev {

class RamChannel final : public Channel, public Poller {
 public:
  static constexpr size_t kZeroBytesPerCycle = 1 << 20;  // so that a large range holds up nobody else's command for long

  /// Registers with `reactor`. Borrows `memory`.
  RamChannel(Reactor& reactor, std::span<std::byte> memory, uint32_t block_size);
  ~RamChannel() override;

  void submit(Io& io) override;
  /// The memory's first bytes are on their way to the cache then: the commands of a cycle lend one after the other, and are sent together.
  std::span<const std::byte> lend(uint64_t block, uint64_t block_count) override;
  bool store(uint64_t block, std::span<const std::byte> data) override;
  /// Zeroes the next piece of the oldest large range.
  size_t poll() override;

 private:
  std::span<std::byte> range(uint64_t block, uint64_t block_count) const;
  void start_zeroing(Io& io, std::span<std::byte> blocks);

  std::span<std::byte> memory_;
  uint32_t block_size_;
  uint64_t block_count_;
  IntrusiveList<Io, &Io::link> zeroing_;  // large ranges, the oldest first; Io::scratch holds what is left of each
};

}  // namespace weft::bdev
