// For the tests of this folder: a wire struct made from bytes written by hand at the offsets that the specification
// gives.
#pragma once
#include "base/assert.h"
#include "base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace weft {

struct BytesAt {
  size_t offset;
  std::vector<uint8_t> bytes;
};

/// A T of zeroes with `parts` in it. Requires: each part lies inside.
template <WireStruct T>
T from_bytes(std::initializer_list<BytesAt> parts) {
  std::byte raw[sizeof(T)]{};
  for (const BytesAt& part : parts) {
    WEFT_ASSERT(part.offset + part.bytes.size() <= sizeof(T));
    std::memcpy(raw + part.offset, part.bytes.data(), part.bytes.size());
  }
  T value;
  std::memcpy(&value, raw, sizeof(T));
  return value;
}

/// The bytes of `value` from `offset` on.
template <WireStruct T>
std::vector<uint8_t> bytes_at(const T& value, size_t offset, size_t count) {
  const auto part = bytes_of(value).subspan(offset, count);
  const auto* first = reinterpret_cast<const uint8_t*>(part.data());
  return {first, first + part.size()};
}

/// "text" as bytes.
inline std::vector<uint8_t> chars(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace weft
