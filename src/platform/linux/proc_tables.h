// What the kernel's tables say about who uses a device or a file. Text in, answers out: no system calls.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::platform {

struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
  friend bool operator==(const DeviceNumber&, const DeviceNumber&) = default;
};

struct Mount {
  DeviceNumber device;
  std::string point;   // where, unescaped
  std::string source;  // what, e.g. "/dev/sda1"; btrfs and others have a device number of no disk, and say the disk only here
};

/// /proc/self/mountinfo. Lines that are not understood are left out.
std::vector<Mount> parse_mountinfo(std::string_view text);

/// The files and devices of /proc/swaps, unescaped.
std::vector<std::string> parse_swaps(std::string_view text);

struct FileIdentity {
  DeviceNumber device;
  uint64_t inode = 0;
};

/// Who holds an flock on the file, by /proc/locks: its process id. Nothing when it is not there or not told.
std::optional<pid_t> find_lock_holder(std::string_view locks, const FileIdentity& file);

}  // namespace weft::platform
