// Latencies in a fixed table: 32 buckets to the octave, so a quantile is at most 3.2 % off, whatever its size. No allocation; two can be
// merged. The unit is the caller's; the tools use nanoseconds.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft::host {

class Histogram {
 public:
  void add(uint64_t value) {
    ++buckets_[index_of(value)];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
  }
  void merge(const Histogram& other);
  uint64_t count() const { return count_; }
  /// Exact, not a bucket's edge.
  uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : double(sum_) / double(count_); }
  /// The least value that at least `fraction` of all are not above, rounded up to its bucket's end; 0 when empty. Requires: 0 < fraction <= 1.
  uint64_t quantile(double fraction) const;

  static constexpr unsigned kSubBits = 5;
  static constexpr size_t kSub = size_t{1} << kSubBits;
  static constexpr unsigned kOctaves = 64 - kSubBits;
  static constexpr size_t kBuckets = (kOctaves + 1) * kSub;
  static constexpr size_t index_of(uint64_t value) {
    if (value < kSub) return size_t(value);  // exact
    const unsigned shift = unsigned(std::bit_width(value)) - 1 - kSubBits;
    return (size_t{shift} + 1) * kSub + size_t((value >> shift) & (kSub - 1));
  }
  /// The largest value of a bucket.
  static constexpr uint64_t end_of(size_t index) {
    if (index < kSub) return index;
    const unsigned shift = unsigned(index / kSub) - 1;
    return ((uint64_t{kSub} + index % kSub + 1) << shift) - 1;
  }

 private:
  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};
static_assert(Histogram::index_of(~uint64_t{0}) == Histogram::kBuckets - 1);
static_assert(Histogram::end_of(Histogram::kBuckets - 1) == ~uint64_t{0});

}  // namespace weft::host
