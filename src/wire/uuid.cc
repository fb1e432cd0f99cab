#include "wire/uuid.h"

#include <fmt/format.h>
#include <iterator>

namespace weft {
namespace {

constexpr bool has_dash_before(size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

/// 0..15, or -1 for what is no hex digit.
constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<Uuid> parse_uuid(std::string_view text) {
  const auto refused = fail(Errc::kInvalid, "not a UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)");
  if (text.size() != kUuidTextLength) return refused;
  Uuid uuid{};
  size_t at = 0;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (has_dash_before(i) && text[at++] != '-') return refused;
    const int high = hex_digit(text[at++]);
    const int low = hex_digit(text[at++]);
    if (high < 0 || low < 0) return refused;
    uuid.bytes[i] = uint8_t(high << 4 | low);
  }
  return uuid;
}

std::string to_text(const Uuid& uuid) {
  std::string out;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (has_dash_before(i)) out += '-';
    fmt::format_to(std::back_inserter(out), "{:02x}", uuid.bytes[i]);
  }
  return out;
}

}  // namespace weft
