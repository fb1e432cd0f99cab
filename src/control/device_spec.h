// What stores a namespace's blocks, as people write it: FILTERS,KIND[,key=value…]
//   ram:1GiB                 memory of this process, lost at exit
//   null:10GiB               reads zeroes, drops writes
//   file:PATH,size=8GiB      a regular file; size= creates it when it is missing
//   /dev/sdX[,force=true]    a block device; force=true takes one that carries a known signature
//   /dev/ng0n1[,force=true]  an NVMe namespace that the kernel drives, by its character device: a kBlockDevice here, since only its path tells
//   nvme:0000:01:00.0[,nsid=1]  a namespace of an NVMe device that `weft devices bind` has given to VFIO, driven by this process
//                          …,unsafe_no_iommu=true  also where no IOMMU keeps it from the machine's memory
// Options: block_size=512|4096, uuid=UUID, and size=, force= as above. Filters: see device_filter.h. Nothing is opened
// here: whether the file exists, is regular, or the disk is in use, is found out by whoever opens it.
#pragma once
#include "base/error.h"
#include "control/device_filter.h"
#include "wire/uuid.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::control {

enum class DeviceKind : uint8_t { kRam, kNull, kFile, kBlockDevice, kNvme };

inline constexpr size_t kFiltersMax = 8;  // before one device

struct DeviceSpec {
  DeviceKind kind = DeviceKind::kNull;
  std::string path;         // file and block device; nvme: the PCI address
  uint64_t size_bytes = 0;  // ram, null: always; file: 0 when not said, then the file must exist; block device: 0
  uint32_t block_size = 0;  // bytes; 0 when not said: the device's own, else 512
  std::optional<Uuid> uuid;
  bool force = false;           // block device
  uint32_t nsid = 1;            // nvme
  bool allows_no_iommu = false;  // nvme
  std::vector<Filter> filters;  // the outermost first
};

/// Errors: kInvalid, with what is wrong and how to write it. The block size is a uint32_t here; validate() knows which
/// ones there are.
Result<DeviceSpec> parse_device_spec(std::string_view text);

/// "ram:1 GiB", "file:/srv/a.img", "/dev/sdb": for messages; not every option is shown.
std::string to_text(const DeviceSpec& spec);

}  // namespace weft::control
