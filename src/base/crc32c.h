// CRC32C (Castagnoli, reflected, initial and final value inverted), the header and data digest of NVMe/TCP and the check value of
// stamped blocks. Short ones, headers for example, by the processor's instruction for it; the others by ISA-L, which chooses the widest
// instructions at run time. While copying, by carry-less multiplication of our own where the processor has it for 64 bytes at a time.
#pragma once
#include <nmmintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace weft {

/// The CRC32C of `bytes`. Check value: "123456789" gives e3069283h.
uint32_t crc32c(std::span<const std::byte> bytes);

/// The CRC32C of an object of few bytes, in line.
template <typename T>
uint32_t crc32c_of(const T& object) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(uint64_t) == 0 && sizeof(T) <= 128);
  const auto* next = reinterpret_cast<const std::byte*>(&object);
  uint64_t state = ~0u;
#pragma GCC unroll 16
  for (size_t at = 0; at < sizeof(T); at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, next + at, sizeof word);
    state = _mm_crc32_u64(state, word);
  }
  return ~uint32_t(state);
}

/// Copies `from` to `to` and returns the CRC32C of what stands there then, also when `from` is written meanwhile. `next`: what is probably copied after it,
/// of the same size, and comes into the cache meanwhile; any address, null for none. Requires: no overlap.
uint32_t copy_with_crc32c(std::byte* to, std::span<const std::byte> from, const std::byte* next = nullptr);

/// A CRC32C over bytes that come in parts.
class Crc32c {
 public:
  Crc32c() = default;
  void update(std::span<const std::byte> bytes);
  uint32_t value() const { return ~state_; }

 private:
  friend uint32_t copy_with_crc32c(std::byte* to, std::span<const std::byte> from, const std::byte* next);
  explicit Crc32c(uint32_t state) : state_(state) {}

  uint32_t state_ = ~0u;
};

}  // namespace weft
