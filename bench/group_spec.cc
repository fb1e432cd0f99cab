#include "bench/group_spec.h"

#include <charconv>
#include <limits>

#include "base/units.h"

namespace weft::bench {
namespace {

bool set_direction(std::string_view value, Direction& direction) {
  if (value == "read") direction = Direction::kRead;
  else if (value == "write") direction = Direction::kWrite;
  else if (value == "mixed") direction = Direction::kMixed;
  else return false;
  return true;
}

template <typename Number>
bool set_number(std::string_view value, Number least, Number most, Number& number) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc{} && end == value.data() + value.size() && number >= least && number <= most;
}

bool set_size(std::string_view value, uint32_t& bytes) {
  const auto size = parse_size(value);
  if (!size || *size == 0 || *size > std::numeric_limits<uint32_t>::max()) return false;
  bytes = uint32_t(*size);
  return true;
}

bool set(std::string_view key, std::string_view value, GroupSpec& group) {
  if (key == "connections") return set_number<size_t>(value, 1, 4096, group.connections);
  if (key == "depth") return set_number<size_t>(value, 1, 1024, group.queue_depth);
  if (key == "rate") return set_number<double>(value, 0, 1e9, group.rate);
  if (key == "rw") return set_direction(value, group.workload.direction);
  if (key == "size") return set_size(value, group.workload.io_bytes);
  return false;
}

}  // namespace

std::expected<GroupSpec, std::string> parse_group(std::string_view text, const GroupSpec& defaults) {
  GroupSpec group = defaults;
  size_t end = text.find(',');
  group.name = text.substr(0, end);
  if (group.name.empty() || group.name.contains('=')) return std::unexpected(std::string(text));
  while (end != std::string_view::npos) {
    text.remove_prefix(end + 1);
    end = text.find(',');
    const std::string_view part = text.substr(0, end);
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || !set(part.substr(0, equals), part.substr(equals + 1), group)) return std::unexpected(std::string(part));
  }
  return group;
}

}  // namespace weft::bench
