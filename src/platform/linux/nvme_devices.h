// The machine's NVMe devices, as the kernel knows them: where they are, what they are, who drives and who uses them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "platform/linux/sysfs.h"

namespace weft::platform {

/// A namespace that the kernel's driver shows as a block device.
struct KernelNamespace {
  std::string name;  // "nvme0n1"
  DeviceNumber number;
  uint64_t size_bytes = 0;
  std::optional<std::string> user;  // as find_disk_user()
};

struct NvmeDevice {
  std::string address;  // PCI: "0000:01:00.0"
  std::string driver;   // "nvme", "vfio-pci"; empty: none
  std::optional<uint32_t> iommu_group;
  bool has_iommu = false;  // without one, a device that VFIO has is in a group all the same
  std::optional<uint32_t> numa_node;
  // While the kernel drives it; else empty:
  std::string controller;  // "nvme0"
  std::string model, serial, firmware;
  std::vector<KernelNamespace> namespaces;
};

/// In the order of their addresses.
std::vector<NvmeDevice> list_nvme_devices(const SystemRoot& root);

/// `address` as the kernel writes it: "01:00.0" is "0000:01:00.0". Errors: kInvalid (not a PCI address), kNotFound (nothing is there, or no NVMe
/// device).
Result<NvmeDevice> find_nvme_device(const SystemRoot& root, std::string_view address);

/// What stands between the device and VFIO besides its own driver: other devices of its IOMMU group that a driver of the kernel has, with the driver,
/// "0000:00:1f.3 (snd_hda_intel)". Bridges do not count.
std::vector<std::string> others_in_group(const SystemRoot& root, const NvmeDevice& device);

/// The node through which VFIO gives the device's group, below /dev: "vfio/12", "vfio/noiommu-12". Requires: iommu_group.
std::string vfio_node(const NvmeDevice& device);

/// The process that has the device open through VFIO: "process 812 (weft)". Nothing when there is none that this user may see.
std::optional<std::string> find_vfio_user(const SystemRoot& root, const NvmeDevice& device);

}  // namespace weft::platform
