#include "platform/linux/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "platform/linux/text_file.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {
namespace {

constexpr size_t kIdDigits = 32;

/// systemd writes "uninitialized" into an image's machine-id until its first boot.
std::optional<std::string> read_id(const std::string& path) {
  const std::string id = read_word(path);
  const bool is_hex = std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (id.size() != kIdDigits || !is_hex || id == std::string(kIdDigits, '0')) return std::nullopt;
  return id;
}

/// Written under another name and then linked, so that a file of that name is always whole and the first of two processes wins.
Result<std::string> make_id(const std::string& state_directory) {
  const std::string path = state_directory + "/machine-id";
  const std::string id = random_hex(kIdDigits / 2);
  const std::string draft = fmt::format("{}.{}", path, id);
  if (::mkdir(state_directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return std::unexpected(Error::from_errno(errno, fmt::format("cannot make the state directory {}", state_directory)));
  }
  const UniqueFd fd{::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  if (!fd.is_open()) return std::unexpected(Error::from_errno(errno, fmt::format("cannot create {}", draft)));
  const bool is_written = ::write(fd.get(), id.data(), id.size()) == ssize_t(id.size()) && ::fsync(fd.get()) == 0;
  const bool is_linked = is_written && (::link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST);
  const int error_number = errno;
  ::unlink(draft.c_str());
  if (!is_linked) return std::unexpected(Error::from_errno(error_number, fmt::format("cannot write {}", path)));
  if (auto made = read_id(path)) return *made;
  return fail(Errc::kInvalid, fmt::format("{} holds no machine id of 32 hexadecimal digits: remove it", path));
}

}  // namespace

void random_bytes(std::span<std::byte> target) {
  while (!target.empty()) {
    const ssize_t got = ::getrandom(target.data(), target.size(), 0);
    WEFT_ASSERT(got > 0 || errno == EINTR);
    if (got > 0) target = target.subspan(size_t(got));
  }
}

std::string random_hex(size_t count) {
  std::vector<std::byte> bytes(count);
  random_bytes(bytes);
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", unsigned(byte));
  return text;
}

Result<std::string> machine_id(const std::string& state_directory) { return machine_id_at("/etc/machine-id", state_directory); }

Result<std::string> machine_id_at(const std::string& system_file, const std::string& state_directory) {
  if (auto id = read_id(system_file)) return *id;
  if (auto id = read_id(state_directory + "/machine-id")) return *id;
  return make_id(state_directory);
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == 0) return "localhost";
  return name.data();
}

}  // namespace weft::platform
