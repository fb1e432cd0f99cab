#include "platform/linux/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>

#include "platform/linux/unique_fd.h"

namespace weft::platform {

Result<std::string> read_text(const std::string& path) {
  constexpr size_t kBytesMax = 4 << 20;
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd.is_open()) return std::unexpected(Error::from_errno(errno, fmt::format("cannot open {}", path)));
  std::string text;
  std::array<char, 16384> piece;
  for (;;) {
    const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(Error::from_errno(errno, fmt::format("cannot read {}", path)));
    if (got == 0) return text;
    if (text.size() + size_t(got) > kBytesMax) return fail(Errc::kLimit, fmt::format("{} is longer than 4 MiB", path));
    text.append(piece.data(), size_t(got));
  }
}

std::string read_word(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return {};
  std::string line = text->substr(0, text->find('\n'));
  const size_t first = line.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t") - first + 1);
}

Result<void> write_text(const std::string& path, std::string_view text) {
  const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!fd.is_open()) return std::unexpected(Error::from_errno(errno, fmt::format("cannot open {}", path)));
  if (::write(fd.get(), text.data(), text.size()) == ssize_t(text.size())) return {};
  return std::unexpected(Error::from_errno(errno, fmt::format("cannot write to {}", path)));
}

}  // namespace weft::platform
