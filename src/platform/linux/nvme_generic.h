// Opens an NVMe namespace by its character device (/dev/ng0n1), to be sent NVMe commands (nvme_commands.h). Nobody can be kept from such a device, and the
// kernel mounts the block device beside it: so that one (/dev/nvme0n1) is opened first, with all of disks.h's care, and held.
#pragma once
#include <array>
#include <string>

#include "bdev/bdev.h"
#include "media/media.h"
#include "nvme/facts.h"
#include "platform/linux/nvme_commands.h"
#include "platform/linux/sysfs.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

struct NvmeGenericRequest {
  std::string name;         // as configured, for messages
  std::string path;
  uint32_t block_size = 0;  // 0: the namespace's own, which is the only one that can be
  bool force = false;       // as of a disk
};

struct OpenNvmeGeneric {
  UniqueFd node;
  UniqueFd claim;  // of the block device, exclusively; asked also for its size, which is 0 when the namespace has gone
  CommandedNamespace commanded;
  media::Alignment alignment{};
  media::Lengths lengths{};
  bdev::Info info;
};

bool is_character_device(const std::string& path);

/// Identifies the namespace and tries a Read and a Flush. Errors, with the path and what to do: kNotFound, kDenied (the node, its block device, commands),
/// kInvalid (not a namespace; a block size), kUnsupported (metadata, zones, …), and those of open_disk().
Result<OpenNvmeGeneric> open_nvme_generic(const NvmeGenericRequest& request);

/// What sysfs knows of a namespace's character device.
struct NvmeGenericPlace {
  std::string disk;                   // the block device beside it: "nvme0n1"
  DeviceNumber disk_number;
  uint32_t transfer_bytes_max = 0;    // of one command, wherever its data lies; whole pages
  uint32_t memory_alignment = 4;      // bytes
  std::array<uint8_t, 16> uuid{};     // zeroes: none
};
/// Errors: kInvalid (no NVMe namespace), kUnsupported (no block device beside it, zones).
Result<NvmeGenericPlace> find_nvme_generic(const SystemRoot& root, DeviceNumber number);

/// Requires: page-aligned limits in `place`.
media::Lengths lengths_of(const NvmeGenericPlace& place, const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns);

}  // namespace weft::platform
