#include "host/histogram.h"

#include <cmath>

#include "base/assert.h"

namespace weft::host {

void Histogram::merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::quantile(double fraction) const {
  WEFT_ASSERT(fraction > 0);
  WEFT_ASSERT(fraction <= 1);
  const auto rank = uint64_t(std::ceil(fraction * double(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen > 0 && seen >= rank) return std::min(end_of(i), max_);
  }
  return max_;
}

}  // namespace weft::host
