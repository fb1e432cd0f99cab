#include "platform/linux/sysfs.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "platform/linux/text_file.h"

namespace weft::platform {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator it{directory, failed}, end; !failed && it != end; it.increment(failed)) {
    names.push_back(it->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_there(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed);
}

std::string link_name(const fs::path& link) {
  std::error_code failed;
  return fs::read_symlink(link, failed).filename();
}

uint64_t read_number(const fs::path& path) {
  const std::string word = read_word(path);
  uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

std::optional<DeviceNumber> device_number_of(const fs::path& directory) {
  const std::string text = read_word(directory / "dev");  // "8:1"
  DeviceNumber device;
  if (std::sscanf(text.c_str(), "%u:%u", &device.major, &device.minor) != 2) return std::nullopt;
  return device;
}

}  // namespace weft::platform
