#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>

namespace weft {
namespace {

std::unexpected<Error> bad_size(std::string_view text) {
  return fail(Errc::kInvalid, fmt::format("'{}' is not a size: write bytes, or a number with KiB, MiB, GiB or TiB", text));
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  uint64_t number = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (errc != std::errc{}) return bad_size(text);
  std::string suffix{end, text.data() + text.size()};
  for (char& c : suffix) c = char(std::tolower(static_cast<unsigned char>(c)));
  unsigned shift = 0;
  if (!suffix.empty()) {
    const size_t unit = std::string_view{"kmgt"}.find(suffix[0]);
    if (unit == std::string_view::npos || (suffix.size() > 1 && suffix.substr(1) != "ib")) return bad_size(text);
    shift = 10 * unsigned(unit + 1);
  }
  if (shift > 0 && (number >> (64 - shift)) != 0) return bad_size(text);
  return number << shift;
}

std::string format_size(uint64_t bytes) {
  static constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  auto value = double(bytes);
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return value == double(uint64_t(value)) ? fmt::format("{} {}", uint64_t(value), kUnits[unit])
                                          : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace weft
