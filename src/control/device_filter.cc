#include "control/device_filter.h"

#include "base/assert.h"
#include "control/problem.h"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <utility>

namespace weft::control {
namespace {

std::unexpected<Error> bad_filter(std::string_view text, std::string_view why) {
  return fail(Errc::kInvalid, fmt::format("{}: {}", shown(text), why));
}

std::optional<FilterOp> parse_op(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, FilterOp>, 4> kOps{
      {{"any", FilterOp::kAny}, {"read", FilterOp::kRead}, {"write", FilterOp::kWrite}, {"flush", FilterOp::kFlush}}};
  for (const auto& [name, op] : kOps) {
    if (text == name) return op;
  }
  return std::nullopt;
}

std::optional<uint64_t> parse_count(std::string_view text) {
  uint64_t number = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (errc != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Text before and after the first `mark`; without one, all is before and `after` is absent.
struct Halves {
  std::string_view before;
  std::optional<std::string_view> after;
};
Halves split_at(std::string_view text, char mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

Result<Filter> parse_delay(std::string_view text) {
  const Halves halves = split_at(text.substr(kDelayPrefix.size()), '@');
  const auto op = halves.after ? parse_op(halves.before) : FilterOp::kAny;
  if (!op) return bad_filter(text, "delay applies to any, read, write or flush, for example delay:write@10ms");
  const auto delay = parse_duration(halves.after.value_or(halves.before));
  if (!delay) return std::unexpected(delay.error());
  return DelayFilter{*op, *delay};
}

Result<Filter> parse_error(std::string_view text) {
  const Halves repeat = split_at(text.substr(kErrorPrefix.size()), '*');
  const Halves place = split_at(repeat.before, '@');
  ErrorFilter filter;
  const auto op = parse_op(place.before);
  if (!op) return bad_filter(text, "error applies to any, read, write or flush, for example error:read@100");
  filter.op = *op;
  if (place.after) {
    if (filter.op == FilterOp::kFlush) return bad_filter(text, "a flush has no blocks: write error:flush");
    const Halves range = split_at(*place.after, '+');
    const auto lba = parse_count(range.before);
    const auto blocks = range.after ? parse_count(*range.after) : 1;
    if (!lba || !blocks || *blocks == 0)
      return bad_filter(text, "blocks are LBA or LBA+COUNT, for example error:read@100+8");
    if (*lba > UINT64_MAX - *blocks) return bad_filter(text, "the last block has no 64-bit number");
    filter.range = BlockRange{*lba, *blocks};
  }
  if (repeat.after) {
    filter.times = parse_count(*repeat.after);
    if (!filter.times || *filter.times == 0)
      return bad_filter(text, "after * stands how often, for example error:read*3");
  }
  return filter;
}

}  // namespace

Result<Filter> parse_filter(std::string_view text) {
  if (text.starts_with(kDelayPrefix)) return parse_delay(text);
  WEFT_ASSERT(text.starts_with(kErrorPrefix));
  return parse_error(text);
}

Result<Duration> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Duration>, 3> kUnits{
      {{"us", microseconds(1)}, {"ms", milliseconds(1)}, {"s", seconds(1)}}};
  static constexpr Duration kLongest = seconds(86400);
  uint64_t number = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (errc == std::errc{}) {
    const std::string_view suffix{end, text.data() + text.size()};
    for (const auto& [name, unit] : kUnits) {
      if (suffix == name && number <= uint64_t(kLongest.ns / unit.ns)) return unit * int64_t(number);
    }
  }
  return fail(Errc::kInvalid,
              fmt::format("{} is not a time: write a number with us, ms or s, at most 86400s", shown(text)));
}

}  // namespace weft::control
