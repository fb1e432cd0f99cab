// Filters that tests put before a device, in the order of the specification, the outermost first:
//   delay:[OP@]TIME          every command, or those of one kind, completes TIME later: delay:10ms, delay:write@2s
//   error:OP[@LBA[+COUNT]][*TIMES]  commands of one kind fail, of every block or of those that touch the COUNT blocks
//   from LBA (1 if not
//                            said), always or the first TIMES times: error:read, error:write@100+8, error:flush*3
// OP is read, write, flush or any. TIME is a number with us, ms or s.
#pragma once
#include "base/error.h"
#include "base/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace weft::control {

enum class FilterOp : uint8_t { kAny, kRead, kWrite, kFlush };

struct BlockRange {
  uint64_t lba = 0;
  uint64_t blocks = 1;
  friend bool operator==(const BlockRange&, const BlockRange&) = default;
};

struct DelayFilter {
  FilterOp op = FilterOp::kAny;
  Duration delay;
  friend bool operator==(const DelayFilter&, const DelayFilter&) = default;
};

struct ErrorFilter {
  FilterOp op = FilterOp::kAny;
  std::optional<BlockRange> range;  // absent: every command of this kind
  std::optional<uint64_t> times;    // absent: always
  friend bool operator==(const ErrorFilter&, const ErrorFilter&) = default;
};

using Filter = std::variant<DelayFilter, ErrorFilter>;

inline constexpr std::string_view kDelayPrefix = "delay:";
inline constexpr std::string_view kErrorPrefix = "error:";

/// One filter without the comma that follows it, e.g. "delay:10ms". Requires: `text` starts with one of the two
/// prefixes.
Result<Filter> parse_filter(std::string_view text);

/// "10ms", "2s", "500us"; at most one day.
Result<Duration> parse_duration(std::string_view text);

}  // namespace weft::control
