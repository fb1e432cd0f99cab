// How long operations of one kind took, counted by powers of two of nanoseconds: one reactor writes, any thread reads, as with every Counter. Coarse, so
// that it costs an I/O one addition; for people who ask whether a device is slow, not for benchmarks.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "base/time.h"
#include "core/metrics.h"

namespace weft {

class Latencies {
 public:
  static constexpr size_t kBuckets = 40;  // bucket n: below 2^n ns; the last one: from 2^38 ns (275 s) on

  /// Only by the reactor that owns it.
  void add(Duration latency) { buckets_[std::min<size_t>(std::bit_width(uint64_t(std::max<int64_t>(latency.ns, 0))), kBuckets - 1)].add(1); }

  /// Of several reactors.
  class Sum {
   public:
    void add(const Latencies& latencies) {
      for (size_t i = 0; i < kBuckets; ++i) counts_[i] += latencies.buckets_[i].value();
    }
    uint64_t count() const {
      uint64_t count = 0;
      for (const uint64_t each : counts_) count += each;
      return count;
    }
    /// Within this time so many of a thousand were done: a power of two of nanoseconds. Requires: count() > 0.
    Duration within(uint64_t of_thousand) const {
      const uint64_t wanted = (count() * of_thousand + 999) / 1000;
      uint64_t passed = 0;
      size_t bucket = 0;
      while (bucket + 1 < kBuckets && (passed += counts_[bucket]) < wanted) ++bucket;
      return nanoseconds(int64_t{1} << bucket);
    }

   private:
    std::array<uint64_t, kBuckets> counts_{};
  };

 private:
  std::array<Counter, kBuckets> buckets_;
};

}  // namespace weft
