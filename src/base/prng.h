// A small seeded generator: splitmix64. The same seed gives the same numbers everywhere.
#pragma once
#include <cstdint>

namespace weft {

__extension__ using Uint128 = unsigned __int128;  // g++ -pedantic knows it only as an extension

class Prng {
 public:
  explicit Prng(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound). Requires: bound > 0. The bias is below bound / 2^64.
  uint64_t below(uint64_t bound) { return uint64_t((static_cast<Uint128>(next()) * bound) >> 64); }
  /// True once in `n`.
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace weft
