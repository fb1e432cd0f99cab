#include "platform/linux/nvme_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "platform/linux/disk_users.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNvmeClass = "0x010802";  // mass storage, non-volatile memory, NVM Express
constexpr std::string_view kBridgeClass = "0x0604";
constexpr std::string_view kNoIommuGroup = "vfio-noiommu";  // the name of a group that VFIO makes for a device behind no IOMMU
constexpr uint64_t kSectorBytes = 512;  // sysfs counts in these whatever the format

fs::path directory_of(const SystemRoot& root, const std::string& address) { return fs::path{root.sys} / "bus/pci/devices" / address; }

std::optional<uint32_t> to_number(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; })) return std::nullopt;
  return uint32_t(std::stoul(std::string{text}));
}

/// "nvme0n1" and not "nvme0c0n1", which is one path to it, nor "nvme0n1p1".
bool is_namespace_name(std::string_view name) {
  if (!name.starts_with("nvme")) return false;
  const size_t n = name.find('n', 4);
  return n != std::string_view::npos && to_number(name.substr(4, n - 4)) && to_number(name.substr(n + 1));
}

/// The directories of the controller's block devices: its own, or those of its subsystem where the kernel joins paths.
std::vector<fs::path> namespace_directories(const SystemRoot& root, const fs::path& controller) {
  std::vector<fs::path> directories;
  const auto add_from = [&](const fs::path& place) {
    for (const std::string& name : names_in(place)) {
      if (is_namespace_name(name)) directories.push_back(place / name);
    }
  };
  add_from(controller);
  const fs::path subsystems = fs::path{root.sys} / "class/nvme-subsystem";
  for (const std::string& name : names_in(subsystems)) {
    if (is_there(subsystems / name / controller.filename())) add_from(subsystems / name);
  }
  return directories;
}

void read_kernel_view(const SystemRoot& root, const fs::path& device_directory, NvmeDevice& device) {
  const auto controllers = names_in(device_directory / "nvme");
  if (controllers.empty()) return;
  device.controller = controllers.front();
  const fs::path controller = device_directory / "nvme" / device.controller;
  device.model = read_word(controller / "model");
  device.serial = read_word(controller / "serial");
  device.firmware = read_word(controller / "firmware_rev");
  for (const fs::path& directory : namespace_directories(root, controller)) {
    const auto number = device_number_of(directory);
    if (!number) continue;
    device.namespaces.push_back({.name = directory.filename(),
                                 .number = *number,
                                 .size_bytes = read_number(directory / "size") * kSectorBytes,
                                 .user = find_disk_user(root, *number)});
  }
}

NvmeDevice read_device(const SystemRoot& root, const std::string& address) {
  const fs::path directory = directory_of(root, address);
  NvmeDevice device{.address = address,
                    .driver = link_name(directory / "driver"),
                    .iommu_group = to_number(link_name(directory / "iommu_group")),
                    .has_iommu = false,
                    .numa_node = to_number(read_word(directory / "numa_node")),  // -1: it has none
                    .controller = {},
                    .model = {},
                    .serial = {},
                    .firmware = {},
                    .namespaces = {}};
  device.has_iommu = device.iommu_group && read_word(directory / "iommu_group/name") != kNoIommuGroup;
  read_kernel_view(root, directory, device);
  return device;
}

bool has_class(const fs::path& directory, std::string_view class_code) { return read_word(directory / "class").starts_with(class_code); }

/// "DDDD:BB:DD.F".
std::optional<std::string> full_address(std::string_view text) {
  std::string address{text};
  std::ranges::transform(address, address.begin(), [](char c) { return char(std::tolower(static_cast<unsigned char>(c))); });
  if (std::ranges::count(address, ':') == 1) address.insert(0, "0000:");
  constexpr std::string_view kShape = "xxxx:xx:xx.x";
  const bool is_right = address.size() == kShape.size() && std::ranges::equal(address, kShape, [](char c, char shape) {
                          return shape == 'x' ? std::isxdigit(static_cast<unsigned char>(c)) != 0 : c == shape;
                        });
  return is_right ? std::optional{address} : std::nullopt;
}

}  // namespace

std::vector<NvmeDevice> list_nvme_devices(const SystemRoot& root) {
  std::vector<NvmeDevice> devices;
  for (const std::string& address : names_in(fs::path{root.sys} / "bus/pci/devices")) {
    if (has_class(directory_of(root, address), kNvmeClass)) devices.push_back(read_device(root, address));
  }
  return devices;
}

Result<NvmeDevice> find_nvme_device(const SystemRoot& root, std::string_view address) {
  const auto full = full_address(address);
  if (!full) return fail(Errc::kInvalid, fmt::format("{} is no PCI address such as 0000:01:00.0; `weft devices` lists them", address));
  const fs::path directory = directory_of(root, *full);
  if (!is_there(directory)) return fail(Errc::kNotFound, fmt::format("there is no PCI device {}; `weft devices` lists the NVMe devices", *full));
  if (!has_class(directory, kNvmeClass)) return fail(Errc::kNotFound, fmt::format("{} is no NVMe device; `weft devices` lists them", *full));
  return read_device(root, *full);
}

std::vector<std::string> others_in_group(const SystemRoot& root, const NvmeDevice& device) {
  std::vector<std::string> others;
  for (const std::string& address : names_in(directory_of(root, device.address) / "iommu_group/devices")) {
    const fs::path directory = directory_of(root, address);
    const std::string driver = link_name(directory / "driver");
    const bool is_harmless = driver.empty() || driver == "vfio-pci" || has_class(directory, kBridgeClass);
    if (address != device.address && !is_harmless) others.push_back(fmt::format("{} ({})", address, driver));
  }
  return others;
}

std::string vfio_node(const NvmeDevice& device) {
  return fmt::format("vfio/{}{}", device.has_iommu ? "" : "noiommu-", device.iommu_group.value());
}

std::optional<std::string> find_vfio_user(const SystemRoot& root, const NvmeDevice& device) {
  if (!device.iommu_group) return std::nullopt;
  const fs::path node = fs::path{"/dev"} / vfio_node(device);
  for (const std::string& process : names_in(root.proc)) {
    if (!to_number(process)) continue;
    const fs::path directory = fs::path{root.proc} / process;
    for (const std::string& fd : names_in(directory / "fd")) {
      std::error_code failed;
      const fs::path file = fs::read_symlink(directory / "fd" / fd, failed);
      if (file == node) return fmt::format("process {} ({})", process, read_word(directory / "comm"));
    }
  }
  return std::nullopt;
}

}  // namespace weft::platform
