// What the dumps of print.h are built from: "name : value" lines, names of bits, and the wire integers as fmt
// arguments. For print_*.cc only.
#pragma once
#include "base/endian.h"
#include "wire/nvme/le128.h"
#include "wire/text_field.h"

#include <cstddef>
#include <cstdint>
#include <fmt/format.h>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

template <typename T, size_t Bytes>
struct fmt::formatter<weft::Le<T, Bytes>> : fmt::formatter<T> {
  template <typename Context>
  auto format(const weft::Le<T, Bytes>& value, Context& context) const {
    return fmt::formatter<T>::format(T{value}, context);
  }
};

namespace weft {

struct BitName {
  uint64_t mask;
  std::string_view name;
};

/// " (first, second)" for the masks that `value` holds completely, nothing when it holds none.
inline std::string bit_names(uint64_t value, std::span<const BitName> names) {
  std::string out;
  for (const BitName& bit : names) {
    if ((value & bit.mask) != bit.mask) continue;
    out += out.empty() ? " (" : ", ";
    out += bit.name;
  }
  return out.empty() ? out : out + ")";
}

/// Bytes as hex digits in the order they lie.
template <typename Byte>
  requires(sizeof(Byte) == 1)
std::string hex(std::span<const Byte> bytes) {
  std::string out;
  for (const Byte byte : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<uint8_t>(byte));
  return out;
}

/// Decimal; hex above 64 bits.
inline std::string decimal(const nvme::Le128& value) {
  const uint64_t high = value.high, low = value.low;
  return high == 0 ? fmt::format("{}", low) : fmt::format("{:#x}{:016x}", high, low);
}

/// A text field, unpadded and escaped.
inline std::string shown(std::span<const char> field) { return escaped(text_of(field)); }

/// "name      : value" lines, with the names padded to one width.
class Lines {
 public:
  Lines() = default;
  explicit Lines(size_t name_width) : name_width_(name_width) {}
  template <typename... Args>
  void add(std::string_view name, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), "{:<{}}: ", name, name_width_);
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  /// The field in hex, as wide as it is on the wire, then the names of its bits.
  template <typename Field>
  void add_bits(std::string_view name, const Field& field, std::span<const BitName> names) {
    const uint64_t value = field;
    add(name, "{:#0{}x}{}", value, 2 + 2 * sizeof(Field), bit_names(value, names));
  }
  std::string take() { return std::move(text_); }

 private:
  size_t name_width_ = 10;  // characters
  std::string text_;
};

}  // namespace weft
