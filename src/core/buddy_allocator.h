// Buffers of a power of two from 4 KiB up, contiguous, cut from one region and merged again. Keeps its lists beside the region, so that memory
// that is free is nobody's: in simulation builds it is filled and poisoned, and whoever still uses it is seen. Belongs to one reactor.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weft {

class BuddyAllocator {
 public:
  static constexpr size_t kUnit = 4096;  // bytes, the smallest buffer
  /// Requires: region.size() is a multiple of kUnit. Does not own the region.
  explicit BuddyAllocator(std::span<std::byte> region);
  ~BuddyAllocator();
  BuddyAllocator(const BuddyAllocator&) = delete;
  BuddyAllocator& operator=(const BuddyAllocator&) = delete;

  /// At least `size` bytes, exactly `size` long; empty when there is no room. What they hold means nothing. Requires: 0 < size.
  std::span<std::byte> allocate(size_t size);
  /// Requires: `buffer` came from allocate() and was not given back.
  void free(std::span<std::byte> buffer);

  /// What a buffer of `size` bytes takes.
  static size_t rounded(size_t size) { return kUnit << order_of(size); }
  /// Whether a buffer of `size` bytes is there when nothing is in use.
  bool fits(size_t size) const { return size <= largest_; }
  size_t bytes() const { return region_.size(); }
  size_t bytes_in_use() const { return bytes_in_use_; }
  /// Which unit of the region `buffer` starts at, below bytes() / kUnit.
  size_t unit_of(std::span<const std::byte> buffer) const { return size_t(buffer.data() - region_.data()) / kUnit; }

 private:
  static constexpr unsigned kOrders = 20;
  static constexpr uint32_t kNone = ~uint32_t{0};
  struct Node {  // of the list of free blocks of one order, by the block's first unit
    uint32_t next = kNone;
    uint32_t previous = kNone;
  };
  static unsigned order_of(size_t size);
  void push(uint32_t unit, unsigned order);
  void take_out(uint32_t unit, unsigned order);

  std::span<std::byte> region_;
  std::array<uint32_t, kOrders> free_;
  std::vector<Node> nodes_;     // per unit
  std::vector<uint8_t> state_;  // per unit: order + 1 where a free block starts, 0 elsewhere
  size_t bytes_in_use_ = 0;
  size_t largest_ = 0;  // bytes of the largest block there is
};

}  // namespace weft
