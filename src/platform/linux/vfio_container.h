// An IOMMU address space of VFIO: the devices that share it, and the memory that they reach, mapped once for all of them. One for all devices of a
// process. Any thread. Linux Documentation/driver-api/vfio.rst, <linux/vfio.h>: type 1 IOMMU, version 2.
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
#include "platform/linux/unique_fd.h"

namespace weft::platform {

class VfioContainer {
 public:
  /// `pools`: memory for data, in whole pages, which every device reaches. Outlives: `source` and the pools outlive it.
  /// Errors: kNotFound (no /dev/vfio/vfio: `modprobe vfio-pci`), kDenied.
  static Result<std::unique_ptr<VfioContainer>> open(MemorySource& source, std::vector<std::span<std::byte>> pools);
  ~VfioContainer();
  VfioContainer(const VfioContainer&) = delete;
  VfioContainer& operator=(const VfioContainer&) = delete;

  /// A device, by the number of its IOMMU group and its PCI address; with the first one the pools are mapped. Errors: kDenied (another user owns the
  /// node; who may change that), kBusy (another process has it), kUnsupported (others of the group are not VFIO's), kLimit (locked memory).
  Result<UniqueFd> open_device(uint32_t group, const std::string& address);
  /// With the last one the pools are no longer mapped. Requires: what was allocated for it is freed.
  void close_device(uint32_t group, UniqueFd device);

  /// As pci::Function::allocate() and free().
  Result<pci::DmaMemory> allocate(size_t bytes, std::string_view what);
  void free(const pci::DmaMemory& memory);
  /// The pools. Does not change while a device is open.
  const pci::DmaMap& map() const { return map_; }

 private:
  struct Mapping {
    Region region;
    uint64_t iova;
  };
  struct Group {
    uint32_t number;
    UniqueFd fd;
    uint32_t devices = 0;
  };
  VfioContainer(MemorySource& source, std::vector<std::span<std::byte>> pools, UniqueFd fd) : source_(source), pools_(std::move(pools)), fd_(std::move(fd)) {}
  Result<Group*> enter_group(uint32_t number);
  void leave_group(Group& group);
  Result<void> set_iommu();
  void unset_iommu();
  Result<uint64_t> map_memory(std::span<std::byte> bytes, std::string_view what);
  void unmap_memory(uint64_t iova, size_t size);

  MemorySource& source_;
  std::vector<std::span<std::byte>> pools_;
  UniqueFd fd_;
  std::mutex mutex_;
  std::list<Group> groups_;
  std::optional<IovaSpace> space_;  // with the first group
  std::vector<Mapping> mappings_;   // of allocate()
  pci::DmaMap map_;
  size_t locked_bytes_ = 0;  // of allocate() and the pools
};

}  // namespace weft::platform
