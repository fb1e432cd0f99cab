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
  std::span<const std::byte> lend(uint64_t block, uint64_t block_count) override { return range(block, block_count); }
  bool writes_in_place() const override { return true; }
  /// Zeroes the next piece of the oldest large range.
  size_t poll() override;

 private:
  std::span<std::byte> range(uint64_t block, uint64_t block_count) const;
  void start_zeroing(Io& io, std::span<std::byte> blocks);

  std::span<std::byte> memory_;
  uint32_t block_size_;
  IntrusiveList<Io, &Io::link> zeroing_;  // large ranges, the oldest first; Io::scratch holds what is left of each
};

}  // namespace weft::bdev
