// Gives an NVMe device to VFIO, so that this program drives it, and back to the kernel; so that nobody's data is lost on the way.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "platform/linux/nvme_devices.h"

namespace weft::platform {

struct BindRequest {
  std::string address;
  bool force = false;         // take it with data on it; never overrides a user
  bool allow_no_iommu = false;  // where there is no IOMMU: the device could then write anywhere in memory
  std::string owner;          // the user who may open it; empty: as it is, root
};

class DeviceBinding {
 public:
  /// How a file of the kernel's is written; a test has its own kernel.
  using Write = std::function<Result<void>(const std::string& path, std::string_view text)>;
  DeviceBinding(SystemRoot root, Write write) : root_(std::move(root)), write_(std::move(write)) {}
  /// On this machine.
  DeviceBinding();

  /// Returns the device's VFIO node, "/dev/vfio/12". Done already: only the owner is set. On an error the device is as it was.
  /// Errors, with the reason and the cure: kInvalid, kNotFound (no such device, vfio-pci not loaded, no such user), kBusy (names the user, or who shares the
  /// IOMMU group), kExists (names what it holds), kUnsupported (no IOMMU), kDenied.
  Result<std::string> bind(const BindRequest& request) const;

  /// Back to the kernel's driver; returns that driver's name. Errors: kInvalid (VFIO does not have it), kNotFound, kBusy (names the process), kDenied.
  Result<std::string> unbind(const std::string& address) const;

 private:
  Result<void> check_machine(const NvmeDevice& device, const BindRequest& request) const;
  Result<void> hand_over(const NvmeDevice& device) const;
  Result<void> hand_back(const std::string& address) const;
  Result<std::string> node_of(const std::string& address) const;

  SystemRoot root_;
  Write write_;
};

}  // namespace weft::platform
