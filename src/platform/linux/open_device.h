// From what the configuration says to a block device: opens the medium, makes the device on it and puts the filters before it.
#pragma once
#include <variant>
#include <vector>

#include "bdev/delay/delay_bdev.h"
#include "bdev/error/error_bdev.h"
#include "platform/linux/media_engine.h"
#include "platform/linux/nvme_engine.h"

namespace weft::platform {

enum class DeviceKind : uint8_t { kRam, kNull, kFile, kDisk, kNvme };  // kDisk: also an NVMe namespace by its character device, as the path turns out to be

using Filter = std::variant<bdev::DelayRule, bdev::ErrorRule>;

struct DeviceRequest {
  DeviceKind kind = DeviceKind::kNull;
  std::string name;         // as configured, for messages
  std::string path;         // file and disk; nvme: the PCI address
  uint64_t size_bytes = 0;  // ram and null: always; file: see FileRequest; disk: ignored
  uint32_t block_size = 0;  // 512 or 4096; 0: the medium's own, else 512
  bool force = false;       // disk
  uint32_t nsid = 1;        // nvme
  bool allows_no_iommu = false;  // nvme
  std::vector<Filter> filters;  // the outermost first
};

/// What devices are made with. Outlives them.
struct DeviceMakers {
  MediaEngine& media;
  NvmeEngine& nvme;
  MemorySource& memory;
  Log& log;  // says how a file or a disk was opened
};

/// Opens it, in the control plane. Errors: those of open_file(), open_disk(), open_nvme_generic() and the makers, kInvalid for sizes, kLimit.
Result<std::unique_ptr<bdev::Bdev>> open_device(const DeviceRequest& request, const DeviceMakers& makers);

}  // namespace weft::platform
