// Who uses a block device: mounts, swap, LVM, RAID and other holders, of the disk itself, of its partitions, and, of a partition, of the whole.
#pragma once
#include <optional>
#include <string>

#include "platform/linux/sysfs.h"

namespace weft::platform {

/// "mounted on /srv", "used as swap", "held by dm-0 (vg-data)", "its partition sdb1 is mounted on /". Nothing when no user is known, which does not mean
/// that there is none: opening with O_EXCL finds those of other mount namespaces.
std::optional<std::string> find_disk_user(const SystemRoot& root, DeviceNumber device);

/// The directory of a block device in sysfs.
std::string sysfs_directory(const SystemRoot& root, DeviceNumber device);

}  // namespace weft::platform
