// How long commands took: counts in buckets of bounded size, each a 128th of its power of two wide, so that a percentile is right to 0.4 %. Its
// memory does not grow with the commands, and one addition takes those of a whole receive.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"

namespace weft::bench {

class LatencyHistogram {
 public:
  void add(uint64_t latency_ns, uint64_t commands) {
    buckets_[index_of(std::min(latency_ns, kLatencyNsMax))] += commands;
    count_ += commands;
  }
  void clear() {
    buckets_.fill(0);
    count_ = 0;
  }
  uint64_t count() const { return count_; }

  /// The latency in ns that `fraction` of the commands kept to. Requires: count() > 0.
  uint64_t at(double fraction) const {
    WEFT_ASSERT(count_ > 0);
    const auto wanted = std::max<uint64_t>(1, uint64_t(fraction * double(count_) + 0.5));
    uint64_t passed = 0;
    size_t index = 0;
    while ((passed += buckets_[index]) < wanted && index + 1 < kBuckets) ++index;
    return middle_of(index);
  }

 private:
  static constexpr uint64_t kSteps = 128;  // of one power of two
  static constexpr size_t kBits = 40;  // of the longest latency that is told from others: 18 minutes
  static constexpr uint64_t kLatencyNsMax = (uint64_t{1} << kBits) - 1;
  static constexpr size_t kBuckets = (kBits - 8) * kSteps + 2 * kSteps;
  static constexpr size_t index_of(uint64_t value) {
    const auto shift = size_t(std::max<int>(std::bit_width(value) - 8, 0));
    return shift * kSteps + size_t(value >> shift);
  }
  static constexpr uint64_t middle_of(size_t index) {
    if (index < 2 * kSteps) return index;
    const size_t shift = index / kSteps - 1;
    return ((index - shift * kSteps) << shift) + (uint64_t{1} << shift) / 2;
  }

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
};

}  // namespace weft::bench
