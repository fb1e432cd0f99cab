// Counters that one reactor writes and any thread may read, without tearing and without ordering: they are for people, not for decisions.
#pragma once
#include <atomic>
#include <cstdint>

namespace weft {

class Counter {
 public:
  /// Only by the reactor that owns the counter.
  void add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  /// Any thread.
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace weft
