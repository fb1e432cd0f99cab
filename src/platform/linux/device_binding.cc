#include "platform/linux/device_binding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <unistd.h>

#include "platform/linux/disks.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

constexpr std::string_view kVfioDriver = "vfio-pci";

std::unexpected<Error> refuse(Errc code, const NvmeDevice& device, std::string_view why) {
  return fail(code, fmt::format("{}: {}", device.address, why));
}

struct Owner {
  uid_t user;
  gid_t group;
};

/// Nothing: none was asked for.
Result<std::optional<Owner>> find_owner(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const passwd* user = ::getpwnam(name.c_str());
  if (user == nullptr) return fail(Errc::kNotFound, fmt::format("there is no user {}", name));
  return Owner{user->pw_uid, user->pw_gid};
}

/// The device's block devices, each opened so that nobody else begins to use it.
Result<std::vector<OpenedMedium>> claim(const SystemRoot& root, const NvmeDevice& device, bool force) {
  std::vector<OpenedMedium> claimed;
  for (const KernelNamespace& ns : device.namespaces) {
    if (ns.user) return refuse(Errc::kBusy, device, fmt::format("{} is {}", ns.name, *ns.user));
    auto opened = open_disk({.path = root.dev + "/" + ns.name, .force = force, .force_flag = "--force"});
    if (!opened) return refuse(opened.error().code, device, opened.error().what());
    claimed.push_back(std::move(*opened));
  }
  return claimed;
}

}  // namespace

DeviceBinding::DeviceBinding() : DeviceBinding(SystemRoot{}, write_text) {}

Result<std::string> DeviceBinding::bind(const BindRequest& request) const {
  const auto device = find_nvme_device(root_, request.address);
  if (!device) return std::unexpected(device.error());
  const auto owner = find_owner(request.owner);
  if (!owner) return std::unexpected(owner.error());
  if (auto able = check_machine(*device, request); !able) return std::unexpected(able.error());
  if (device->driver != kVfioDriver) {
    if (device->controller.empty() && !request.force) {
      return refuse(Errc::kExists, *device, fmt::format("the kernel does not drive it ({}), so what it holds is not known: --force takes it",
                                                        device->driver.empty() ? "no driver" : device->driver));
    }
    const auto claimed = claim(root_, *device, request.force);  // until the kernel's driver has let go
    if (!claimed) return std::unexpected(claimed.error());
    if (auto done = hand_over(*device); !done) {
      (void)hand_back(device->address);  // what went wrong first is what is told
      return std::unexpected(done.error());
    }
  }
  auto node = node_of(device->address);
  if (!node || !*owner || ::chown(node->c_str(), (*owner)->user, (*owner)->group) == 0) return node;
  const Error error = Error::from_errno(errno, fmt::format("cannot give {} to {}", *node, request.owner));
  if (device->driver != kVfioDriver) (void)hand_back(device->address);
  return std::unexpected(error);
}

/// Whether VFIO could have the device at all.
Result<void> DeviceBinding::check_machine(const NvmeDevice& device, const BindRequest& request) const {
  if (!is_there(root_.sys + "/bus/pci/drivers/vfio-pci")) {
    return refuse(Errc::kNotFound, device, "the kernel has no vfio-pci driver: load it with `modprobe vfio-pci`");
  }
  if (!device.has_iommu && !request.allow_no_iommu) {
    return refuse(Errc::kUnsupported, device,
                  "it is behind no IOMMU: switch it on in the firmware and with intel_iommu=on or amd_iommu=on on the kernel's command line. "
                  "--unsafe-no-iommu does without: then the device can write anywhere");
  }
  const std::string parameter = root_.sys + "/module/vfio/parameters/enable_unsafe_noiommu_mode";
  if (!device.has_iommu && !is_there(parameter)) {
    return refuse(Errc::kUnsupported, device, "this kernel's VFIO cannot do without an IOMMU: it is built without CONFIG_VFIO_NOIOMMU, as Debian's are");
  }
  if (!device.has_iommu && read_word(parameter) != "Y") {
    return refuse(Errc::kUnsupported, device, fmt::format("VFIO does without an IOMMU only after `echo 1 > {}`", parameter));
  }
  if (const auto others = others_in_group(root_, device); !others.empty()) {
    return refuse(Errc::kBusy, device, fmt::format("its IOMMU group {} has other devices in use: {}; give them to vfio-pci too, or move the device to another slot",
                                                   *device.iommu_group, fmt::join(others, ", ")));
  }
  return {};
}

Result<void> DeviceBinding::hand_over(const NvmeDevice& device) const {
  const std::string directory = root_.sys + "/bus/pci/devices/" + device.address;
  if (auto done = write_(directory + "/driver_override", kVfioDriver); !done) return done;
  if (!device.driver.empty()) {
    if (auto done = write_(directory + "/driver/unbind", device.address); !done) return done;
  }
  if (auto done = write_(root_.sys + "/bus/pci/drivers_probe", device.address); !done) return done;
  if (link_name(directory + "/driver") == kVfioDriver) return {};
  return refuse(Errc::kIo, device, "vfio-pci did not take it; the kernel's log (dmesg) says why");
}

/// To the driver that would have it by itself.
Result<void> DeviceBinding::hand_back(const std::string& address) const {
  const std::string directory = root_.sys + "/bus/pci/devices/" + address;
  if (auto done = write_(directory + "/driver_override", "\n"); !done) return done;
  if (link_name(directory + "/driver") == kVfioDriver) {
    if (auto done = write_(directory + "/driver/unbind", address); !done) return done;
  }
  return write_(root_.sys + "/bus/pci/drivers_probe", address);
}

Result<std::string> DeviceBinding::unbind(const std::string& address) const {
  const auto device = find_nvme_device(root_, address);
  if (!device) return std::unexpected(device.error());
  if (device->driver != kVfioDriver) {
    return refuse(Errc::kInvalid, *device, fmt::format("VFIO does not have it; its driver is {}", device->driver.empty() ? "none" : device->driver));
  }
  // The kernel would wait for that process, and with it whoever asked.
  if (const auto user = find_vfio_user(root_, *device)) return refuse(Errc::kBusy, *device, fmt::format("{} uses it; stop that first", *user));
  if (auto done = hand_back(device->address); !done) return std::unexpected(done.error());
  const std::string driver = link_name(root_.sys + "/bus/pci/devices/" + device->address + "/driver");
  if (driver.empty()) return refuse(Errc::kNotFound, *device, "no driver of the kernel has taken it: load it with `modprobe nvme`");
  return driver;
}

Result<std::string> DeviceBinding::node_of(const std::string& address) const {
  const auto bound = find_nvme_device(root_, address);  // without an IOMMU it has a group only now
  if (!bound) return std::unexpected(bound.error());
  if (!bound->iommu_group) return refuse(Errc::kUnsupported, *bound, "VFIO has given it no group");
  return root_.dev + "/" + vfio_node(*bound);
}

}  // namespace weft::platform
