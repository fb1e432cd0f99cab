// A channel's bounded set of aligned buffers, for data that lies where the medium cannot take it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/assert.h"

namespace weft::bdev {

class BounceBuffers {
 public:
  static constexpr size_t kCount = 8;
  static constexpr size_t kBytes = 128 << 10;  // each; larger transfers go through one in pieces

  /// Requires: `memory` has kCount * kBytes. Touches nothing before a buffer is used. Outlives: the memory outlives the buffers.
  explicit BounceBuffers(std::span<std::byte> memory) : memory_(memory) {
    WEFT_ASSERT(memory.size() >= kCount * kBytes);
    for (uint8_t i = 0; i < kCount; ++i) free_[i] = i;
  }
  /// The index of a buffer, to be given back by free(); nothing when all are in use.
  std::optional<uint8_t> take() { return free_count_ == 0 ? std::nullopt : std::optional{free_[--free_count_]}; }
  void free(uint8_t index) {
    WEFT_ASSERT(free_count_ < kCount);
    free_[free_count_++] = index;
  }
  std::span<std::byte> buffer(uint8_t index) const { return memory_.subspan(index * kBytes, kBytes); }

 private:
  std::span<std::byte> memory_;
  std::array<uint8_t, kCount> free_{};
  size_t free_count_ = kCount;
};

}  // namespace weft::bdev
