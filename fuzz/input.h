// The bytes of a fuzz input, read from the front; zeroes when they are used up. Borrows them.
#pragma once
#include "base/bytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::fuzz {

class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Input(const uint8_t* data, size_t size) : Input(std::as_bytes(std::span(data, size))) {}

  bool is_empty() const { return bytes_.empty(); }
  /// Up to `size` bytes.
  std::span<const std::byte> take(size_t size) {
    const auto front = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(front.size());
    return front;
  }
  std::span<const std::byte> rest() { return take(bytes_.size()); }
  /// A T from the next bytes.
  template <WireStruct T>
  T get() {
    T value;
    copy_window({reinterpret_cast<std::byte*>(&value), sizeof value}, take(sizeof value), 0);
    return value;
  }
  uint8_t byte() { return get<uint8_t>(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace weft::fuzz
