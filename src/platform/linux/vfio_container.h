// An address space of VFIO: the devices that share it, and the memory that they reach, mapped once for all of them. One for all devices of a
// process that have an IOMMU, and one for those that have none: they address memory as it lies, and nothing keeps them from the rest of it.
// Any thread. Linux Documentation/driver-api/vfio.rst, <linux/vfio.h>: type 1 IOMMU, version 2, or no-IOMMU mode.
#pragma once
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/memory.h"
#include "pci/function.h"
#include "platform/linux/iova_space.h"
#include "platform/linux/nvme_devices.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

/// What stands between a device and memory that is not meant for it.
enum class Isolation : uint8_t { kIommu, kNone };

class VfioContainer {
 public:
  /// `pools`: memory for data, in whole pages, which every device reaches. Outlives: `source` and the pools outlive it.
  /// Errors: kNotFound (no /dev/vfio/vfio: `modprobe vfio-pci`), kDenied, kUnsupported (the kernel's VFIO does not do it so).
  static Result<std::unique_ptr<VfioContainer>> open(Isolation isolation, MemorySource& source, std::vector<std::span<std::byte>> pools);
  ~VfioContainer();
  VfioContainer(const VfioContainer&) = delete;
  VfioContainer& operator=(const VfioContainer&) = delete;

  /// With the first device the pools are mapped. Errors: kDenied (another user owns the node; who may change that), kBusy (another process has it),
  /// kUnsupported (others of the group are not VFIO's), kLimit (locked memory; without an IOMMU, reserved huge pages). Requires: its isolation is this one's.
  Result<UniqueFd> open_device(const NvmeDevice& device);
  /// `group`: of the device. With the last one the pools are no longer mapped. Requires: what was allocated for it is freed.
  void close_device(uint32_t group, UniqueFd device);

  /// As pci::Function::allocate() and free().
  Result<pci::DmaMemory> allocate(size_t bytes, std::string_view what);
  void free(const pci::DmaMemory& memory);
  /// The pools. Does not change while a device is open.
  const pci::DmaMap& map() const { return map_; }

 private:
  struct Mapping {
    Region region;
    pci::DmaMap::Range range;
  };
  struct Group {
    uint32_t number;
    UniqueFd fd;
    uint32_t devices = 0;
  };
  using Ranges = std::vector<pci::DmaMap::Range>;
  VfioContainer(Isolation isolation, MemorySource& source, std::vector<std::span<std::byte>> pools, UniqueFd fd)
      : isolation_(isolation), source_(source), pools_(std::move(pools)), fd_(std::move(fd)) {}
  Result<Group*> enter_group(const NvmeDevice& device);
  void leave_group(Group& group);
  Result<void> set_up();
  Result<void> set_up_iommu();
  void tear_down();
  Result<Ranges> map_memory(std::span<std::byte> bytes, std::string_view what);
  Result<uint64_t> map_in_iommu(std::span<std::byte> bytes, std::string_view what);
  void unmap_memory(const pci::DmaMap::Range& range);

  Isolation isolation_;
  MemorySource& source_;
  std::vector<std::span<std::byte>> pools_;
  UniqueFd fd_;
  std::mutex mutex_;
  std::list<Group> groups_;
  bool is_set_up_ = false;          // with the first group
  std::optional<IovaSpace> space_;  // the IOMMU's, then
  std::vector<Mapping> mappings_;   // of allocate()
  pci::DmaMap map_;
  size_t locked_bytes_ = 0;  // of allocate() and the pools
};

}  // namespace weft::platform
