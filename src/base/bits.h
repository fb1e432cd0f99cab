// Sub-byte fields by position, as the specifications give them: bits<hi, lo>(x).
#pragma once
#include <cstdint>
#include <type_traits>

namespace weft {

/// Bits hi:lo of x, shifted down.
template <unsigned Hi, unsigned Lo, typename T>
  requires std::is_unsigned_v<T> && (Hi >= Lo) && (Hi < sizeof(T) * 8)
constexpr T bits(T x) {
  constexpr unsigned width = Hi - Lo + 1;
  const T mask = width == sizeof(T) * 8 ? T(~T{0}) : T((T{1} << width) - 1);
  return T(x >> Lo) & mask;
}

/// Bit n of x.
template <unsigned N, typename T>
  requires std::is_unsigned_v<T> && (N < sizeof(T) * 8)
constexpr bool bit(T x) {
  return ((x >> N) & 1) != 0;
}

/// x rounded up to a multiple of `unit`. Requires: unit is a power of two.
constexpr uint64_t align_up(uint64_t x, uint64_t unit) { return (x + unit - 1) & ~(unit - 1); }

constexpr bool is_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

}  // namespace weft
