#include "platform/linux/disk_users.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

namespace fs = std::filesystem;

/// "sdb1", of "DEVNAME=sdb1" in the device's uevent.
std::string device_name(const fs::path& directory) {
  const auto text = read_text(directory / "uevent");
  constexpr std::string_view kKey = "DEVNAME=";
  const size_t at = text ? text->find(kKey) : std::string::npos;
  if (at == std::string::npos) return directory.filename();
  return text->substr(at + kKey.size(), text->find('\n', at) - at - kKey.size());
}

bool is_device(const std::string& path, DeviceNumber device) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode) && major(status.st_rdev) == device.major &&
         minor(status.st_rdev) == device.minor;
}

std::optional<std::string> find_mount(const SystemRoot& root, DeviceNumber device, const std::string& name) {
  const auto text = read_text(root.proc + "/self/mountinfo");
  if (!text) return std::nullopt;
  for (const Mount& mount : parse_mountinfo(*text)) {
    if (mount.device == device || mount.source == "/dev/" + name || is_device(mount.source, device)) {
      return fmt::format("mounted on {}", mount.point);
    }
  }
  return std::nullopt;
}

bool is_swap(const SystemRoot& root, DeviceNumber device, const std::string& name) {
  const auto text = read_text(root.proc + "/swaps");
  if (!text) return false;
  const auto paths = parse_swaps(*text);
  return std::any_of(paths.begin(), paths.end(),
                     [&](const std::string& path) { return path == "/dev/" + name || is_device(path, device); });
}

/// "dm-0 (vg-data)", "md0".
std::string holder_text(const SystemRoot& root, const std::string& holder) {
  const std::string mapped_name = read_word(root.sys + "/block/" + holder + "/dm/name");
  return mapped_name.empty() ? holder : fmt::format("{} ({})", holder, mapped_name);
}

/// Of this one device, be it a disk or a partition.
std::optional<std::string> find_own_user(const SystemRoot& root, const fs::path& directory, DeviceNumber device) {
  const std::string name = device_name(directory);
  if (auto mount = find_mount(root, device, name)) return mount;
  if (is_swap(root, device, name)) return "used as swap";
  const auto holders = names_in(directory / "holders");
  if (!holders.empty()) return fmt::format("held by {}", holder_text(root, holders.front()));
  return std::nullopt;
}

std::optional<std::string> find_partition_user(const SystemRoot& root, const fs::path& disk) {
  for (const std::string& name : names_in(disk)) {
    const fs::path directory = disk / name;
    if (!is_there(directory / "partition")) continue;
    const auto device = device_number_of(directory);
    if (!device) continue;
    if (auto user = find_own_user(root, directory, *device)) return fmt::format("its partition {} is {}", name, *user);
  }
  return std::nullopt;
}

}  // namespace

std::string sysfs_directory(const SystemRoot& root, DeviceNumber device) {
  return fmt::format("{}/dev/block/{}:{}", root.sys, device.major, device.minor);
}

std::optional<std::string> find_disk_user(const SystemRoot& root, DeviceNumber device) {
  std::error_code failed;
  const fs::path directory = fs::canonical(sysfs_directory(root, device), failed);
  if (failed) return std::nullopt;
  if (auto user = find_own_user(root, directory, device)) return user;
  if (!is_there(directory / "partition")) return find_partition_user(root, directory);
  const fs::path whole = directory.parent_path();
  const auto whole_device = device_number_of(whole);
  if (!whole_device) return std::nullopt;
  const auto user = find_own_user(root, whole, *whole_device);
  return user ? std::optional{fmt::format("the disk {} it is on is {}", whole.filename().string(), *user)} : std::nullopt;
}

}  // namespace weft::platform
