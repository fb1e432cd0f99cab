// The 16-byte unsigned integers of the SMART log and of the capacity fields. They never need more than addition, which
// 64 bits cover, so they are two le64 and whoever writes one sets `low`.
#pragma once
#include "base/endian.h"

namespace weft::nvme {

struct Le128 {
  le64 low;
  le64 high;

  constexpr Le128() = default;
  constexpr Le128(uint64_t value) : low(value), high(0) {}  // NOLINT: an integer on the wire is an integer
  friend constexpr bool operator==(const Le128&, const Le128&) = default;
};
static_assert(sizeof(Le128) == 16 && alignof(Le128) == 1);

}  // namespace weft::nvme
