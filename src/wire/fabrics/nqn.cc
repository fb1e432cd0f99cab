#include "wire/fabrics/nqn.h"

#include "wire/fabrics/connect.h"
#include "wire/uuid.h"

#include <cstddef>
#include <cstdint>

namespace weft::fabrics {
namespace {

constexpr std::string_view kUuidPrefix = "nqn.2014-08.org.nvmexpress:uuid:";
constexpr std::string_view kPrefix = "nqn.";
constexpr size_t kDomainStart = std::string_view("nqn.yyyy-mm.").size();

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// One code point at the start of `text` and the bytes it takes; 0 bytes for what is not UTF-8 (RFC 3629).
struct CodePoint {
  uint32_t value;
  size_t bytes;
};

CodePoint first_code_point(std::string_view text) {
  const auto lead = uint8_t(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >> 5 == 0x6 ? 2 : lead >> 4 == 0xe ? 3 : lead >> 3 == 0x1e ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return {0, 0};
  uint32_t value = lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = uint8_t(text[i]);
    if (next >> 6 != 0x2) return {0, 0};
    value = value << 6 | (next & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // below it, a shorter form exists
  const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[bytes] || is_surrogate || value > 0x10ffff) return {0, 0};
  return {value, bytes};
}

bool is_printable_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto [value, bytes] = first_code_point(text);
    const bool is_control = value < 0x20 || (value >= 0x7f && value <= 0x9f);
    if (bytes == 0 || is_control) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

/// "yyyy-mm.", at the start of `text`.
bool starts_with_date(std::string_view text) {
  if (text.size() < 8 || text[4] != '-' || text[7] != '.') return false;
  for (const size_t i : {0, 1, 2, 3, 5, 6}) {
    if (!is_digit(text[i])) return false;
  }
  const int month = (text[5] - '0') * 10 + (text[6] - '0');
  return month >= 1 && month <= 12;
}

}  // namespace

bool is_valid_nqn(std::string_view nqn) {
  if (nqn.size() > kNqnLengthMax || !is_printable_utf8(nqn)) return false;
  if (nqn.starts_with(kUuidPrefix)) return parse_uuid(nqn.substr(kUuidPrefix.size())).has_value();
  if (!nqn.starts_with(kPrefix) || !starts_with_date(nqn.substr(kPrefix.size()))) return false;
  const std::string_view rest = nqn.substr(kDomainStart);
  return !rest.empty() && rest.front() != ':' && rest.front() != '.';
}

}  // namespace weft::fabrics
