#include <filesystem>

#include "platform/linux/disks.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

namespace fs = std::filesystem;

/// The first of the places where drivers put an identity. Those that several disks may share stand last.
std::string identity_of(const fs::path& disk) {
  for (const char* place : {"wwid", "device/wwid", "dm/uuid", "md/uuid", "device/serial", "serial", "loop/backing_file"}) {
    if (std::string word = read_word(disk / place); !word.empty()) return word;
  }
  return {};
}

}  // namespace

DiskDescription describe_disk(const SystemRoot& root, DeviceNumber device) {
  std::error_code failed;
  const fs::path directory = fs::canonical(sysfs_directory(root, device), failed);
  if (failed) return {};
  const std::string partition = read_word(directory / "partition");
  const fs::path disk = partition.empty() ? directory : directory.parent_path();
  DiskDescription description;
  description.id = identity_of(disk);
  if (!description.id.empty() && !partition.empty()) description.id += "-part" + partition;
  description.has_volatile_cache = read_word(disk / "queue/write_cache") != "write through";
  description.can_discard = read_number(disk / "queue/discard_max_bytes") > 0;
  description.preferred_bytes = read_number(disk / "queue/optimal_io_size");
  if (description.preferred_bytes == 0) description.preferred_bytes = read_number(disk / "queue/minimum_io_size");
  return description;
}

}  // namespace weft::platform
