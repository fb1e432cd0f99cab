// Opens a block device as a medium, so that nobody's data is lost: refused while anybody uses it, claimed exclusively, and not taken with known
// contents unless that was asked for.
#pragma once
#include "platform/linux/disk_users.h"
#include "platform/linux/open_medium.h"

namespace weft::platform {

struct DiskRequest {
  std::string path;
  uint32_t block_size = 0;  // 0: the device's own
  bool force = false;       // take it with a known signature; never overrides a user
  const char* force_flag = "force=true";  // how whoever reads a refusal says so
};

/// Errors, with the path and the reason: kNotFound, kDenied, kBusy (names the user), kExists (names what it holds, and how to take it), kInvalid
/// (not a block device, a block size that it cannot do), kIo.
Result<OpenedMedium> open_disk(const DiskRequest& request);

/// What sysfs knows of a disk. `root` is for tests.
struct DiskDescription {
  std::string id;  // WWID, serial number or UUID; for a partition with its number behind; empty when it has none
  bool has_volatile_cache = true;
  bool can_discard = false;
  uint64_t preferred_bytes = 0;  // 0: not said
};
DiskDescription describe_disk(const SystemRoot& root, DeviceNumber device);

}  // namespace weft::platform
