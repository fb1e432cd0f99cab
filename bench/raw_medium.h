// Where the raw ceiling's payload comes from and goes to.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/prng.h"
#include "bench/workload.h"

namespace weft::bench {

class RawMedium {
 public:
  enum class Kind : uint8_t {
    kHot,   // one buffer that stays in the cache; written payload is dropped
    kCold,  // random blocks of a region in huge pages; written payload is copied there
  };
  RawMedium(Kind kind, const Workload& workload);
  ~RawMedium();
  RawMedium(const RawMedium&) = delete;
  RawMedium& operator=(const RawMedium&) = delete;

  Kind kind() const { return kind_; }
  /// The buffer that stays in the cache.
  std::span<std::byte> hot() { return hot_; }
  uint64_t random_block() { return prng_.below(cold_.size() / block_bytes_); }
  std::span<std::byte> block(uint64_t index) const { return cold_.subspan(index * block_bytes_, block_bytes_); }

  /// What a read sends.
  std::span<const std::byte> read() { return kind_ == Kind::kHot ? std::span(hot_).first(block_bytes_) : block(random_block()); }
  /// Where a write's payload goes; empty: nowhere.
  std::span<std::byte> write() { return kind_ == Kind::kHot ? std::span<std::byte>{} : block(random_block()); }

 private:
  const Kind kind_;
  const size_t block_bytes_;
  std::vector<std::byte> hot_;
  std::span<std::byte> cold_;
  Prng prng_{1};
};

}  // namespace weft::bench
