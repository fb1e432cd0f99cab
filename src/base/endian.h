// Little-endian integers as bytes: alignment 1, so wire structs are plain structs. Big-endian ones where a spec wants them.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace weft {

static_assert(std::endian::native == std::endian::little, "the byte order of x86-64 is assumed below");

/// An unsigned integer stored in `Bytes` bytes, least significant first. Converts from and to T implicitly.
template <typename T, size_t Bytes = sizeof(T)>
  requires std::is_unsigned_v<T>
struct Le {
  std::byte raw[Bytes];

  constexpr Le() : raw{} {}
  constexpr Le(T value) {  // NOLINT: an integer on the wire is an integer
    // One store, and one load below: compilers do not always make one of a loop.
    if constexpr (Bytes == sizeof(T)) {
      *this = std::bit_cast<Le>(value);
    } else {
      for (size_t i = 0; i < Bytes; ++i) raw[i] = std::byte(value >> (8 * i));
    }
  }
  constexpr operator T() const {  // NOLINT: see above
    if constexpr (Bytes == sizeof(T)) return std::bit_cast<T>(raw);
    T value = 0;
    for (size_t i = 0; i < Bytes; ++i) value |= T(T(raw[i]) << (8 * i));
    return value;
  }
};

using le16 = Le<uint16_t>;
using le24 = Le<uint32_t, 3>;
using le32 = Le<uint32_t>;
using le48 = Le<uint64_t, 6>;
using le64 = Le<uint64_t>;
static_assert(sizeof(le64) == 8 && alignof(le64) == 1 && std::is_trivially_copyable_v<le64>);

/// Reads at `p`, for layouts that vary at run time. Requires: the bytes are there.
inline uint16_t load_le16(const std::byte* p) { uint16_t v; std::memcpy(&v, p, sizeof v); return v; }
inline uint32_t load_le32(const std::byte* p) { uint32_t v; std::memcpy(&v, p, sizeof v); return v; }
inline uint64_t load_le64(const std::byte* p) { uint64_t v; std::memcpy(&v, p, sizeof v); return v; }
inline void store_le32(std::byte* p, uint32_t v) { std::memcpy(p, &v, sizeof v); }
inline void store_le64(std::byte* p, uint64_t v) { std::memcpy(p, &v, sizeof v); }

}  // namespace weft
