#include "platform/linux/proc_tables.h"

#include <charconv>

namespace weft::platform {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    if (end != 0) parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

/// The words of a line; any number of spaces or tabs between them.
std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> result;
  for (const std::string_view by_space : split(line, ' ')) {
    for (const std::string_view word : split(by_space, '\t')) result.push_back(word);
  }
  return result;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text, int base) {
  Number number{};
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (errc != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<DeviceNumber> parse_device(std::string_view major, std::string_view minor, int base) {
  const auto high = parse_number<uint32_t>(major, base);
  const auto low = parse_number<uint32_t>(minor, base);
  if (!high || !low) return std::nullopt;
  return DeviceNumber{*high, *low};
}

/// The kernel writes spaces, tabs, newlines and backslashes as \ooo.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' && i + 3 < text.size() ? parse_number<unsigned>(text.substr(i + 1, 3), 8) : std::nullopt;
    result += code ? char(*code) : text[i];
    if (code) i += 3;
  }
  return result;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
std::optional<Mount> parse_mount(std::string_view line) {
  const auto fields = words(line);
  if (fields.size() < 10) return std::nullopt;
  const auto numbers = split(fields[2], ':');
  if (numbers.size() != 2) return std::nullopt;
  const auto device = parse_device(numbers[0], numbers[1], 10);
  if (!device) return std::nullopt;
  for (size_t i = 6; i + 2 < fields.size(); ++i) {
    if (fields[i] == "-") return Mount{*device, unescape(fields[4]), unescape(fields[i + 2])};
  }
  return std::nullopt;
}

}  // namespace

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  for (const std::string_view line : split(text, '\n')) {
    if (auto mount = parse_mount(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::vector<std::string> parse_swaps(std::string_view text) {
  std::vector<std::string> paths;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = words(line);
    if (!fields.empty() && fields[0].starts_with('/')) paths.push_back(unescape(fields[0]));  // the heading does not
  }
  return paths;
}

// 1: FLOCK  ADVISORY  WRITE 4711 fe:00:131073 0 EOF
std::optional<pid_t> find_lock_holder(std::string_view locks, const FileIdentity& file) {
  for (const std::string_view line : split(locks, '\n')) {
    const auto fields = words(line);
    if (fields.size() < 6 || fields[1] != "FLOCK") continue;
    const auto place = split(fields[5], ':');
    if (place.size() != 3) continue;
    const auto pid = parse_number<pid_t>(fields[4], 10);
    if (parse_device(place[0], place[1], 16) == file.device && parse_number<uint64_t>(place[2], 10) == file.inode && pid &&
        *pid > 0) {
      return pid;
    }
  }
  return std::nullopt;
}

}  // namespace weft::platform
