// UUIDs as 16 bytes in the order they are written (RFC 4122), which is the order of the UUID descriptor of Identify and
// of HOSTID.
#pragma once
#include "base/error.h"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

inline constexpr size_t kUuidTextLength = 36;  // characters

struct Uuid {
  std::array<uint8_t, 16> bytes;

  constexpr bool is_nil() const { return bytes == std::array<uint8_t, 16>{}; }
  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
};

/// Reads "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in hex of either case; version and variant are not looked at.
/// On failure kInvalid.
Result<Uuid> parse_uuid(std::string_view text);

/// The same form in lower case.
std::string to_text(const Uuid& uuid);

}  // namespace weft
