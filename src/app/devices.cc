#include "app/devices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "app/json.h"
#include "app/report_failure.h"
#include "wire/text_field.h"

namespace weft::app {
namespace {

using platform::NvmeDevice;

/// "mounted on /", for each namespace that is in use; of one that VFIO has, by whom.
std::vector<std::string> uses_of(const platform::SystemRoot& root, const NvmeDevice& device) {
  std::vector<std::string> uses;
  for (const auto& ns : device.namespaces) {
    if (ns.user) uses.push_back(fmt::format("{} {}", ns.name, *ns.user));
  }
  if (const auto user = device.driver == "vfio-pci" ? platform::find_vfio_user(root, device) : std::nullopt) uses.push_back(*user);
  return uses;
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const platform::SystemRoot& root, const NvmeDevice& device) {
  Json namespaces = Json::array();
  for (const auto& ns : device.namespaces) namespaces.push_back({{"name", ns.name}, {"size_bytes", ns.size_bytes}, {"user", or_null(ns.user)}});
  return {{"address", device.address},
          {"model", device.model},
          {"serial", device.serial},
          {"firmware", device.firmware},
          {"driver", device.driver},
          {"controller", device.controller},
          {"iommu_group", or_null(device.iommu_group)},
          {"has_iommu", device.has_iommu},
          {"numa_node", or_null(device.numa_node)},
          {"namespaces", namespaces},
          {"uses", uses_of(root, device)}};
}

std::string size_text(const NvmeDevice& device) {
  if (device.namespaces.empty()) return "-";
  uint64_t bytes = 0;
  for (const auto& ns : device.namespaces) bytes += ns.size_bytes;
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  return bytes < kGiB ? fmt::format("{} MiB", bytes >> 20) : fmt::format("{:.0f} GiB", double(bytes) / double(kGiB));
}

std::string or_dash(std::string_view text) { return text.empty() ? "-" : escaped(text); }
std::string or_dash(const std::optional<uint32_t>& number) { return number ? std::to_string(*number) : "-"; }

std::string to_line(const platform::SystemRoot& root, const NvmeDevice& device) {
  const auto uses = uses_of(root, device);
  const auto group = device.has_iommu ? device.iommu_group : std::nullopt;
  return fmt::format("{:<13} {:<24} {:<20} {:>8}  {:<9} {:>5} {:>4}  {}\n", device.address, or_dash(device.model), or_dash(device.serial), size_text(device),
                     or_dash(device.driver), or_dash(group), or_dash(device.numa_node), uses.empty() ? "free" : fmt::format("{}", fmt::join(uses, "; ")));
}

int run_list(OutputFormat output) {
  fmt::print("{}", devices_text({}, output));
  return 0;
}

int run_bind(const platform::BindRequest& request) {
  const auto node = platform::DeviceBinding{}.bind(request);
  if (!node) return report_failure("devices bind", node.error());
  fmt::print("{} is VFIO's: {}; `weft devices unbind {}` gives it back\n", request.address, *node, request.address);
  return 0;
}

int run_unbind(const std::string& address) {
  const auto driver = platform::DeviceBinding{}.unbind(address);
  if (!driver) return report_failure("devices unbind", driver.error());
  fmt::print("{} is the kernel's again, driver {}\n", address, *driver);
  return 0;
}

}  // namespace

std::string devices_text(const platform::SystemRoot& root, OutputFormat output) {
  const auto devices = platform::list_nvme_devices(root);
  if (output == OutputFormat::kJson) {
    Json list = Json::array();
    for (const NvmeDevice& device : devices) list.push_back(to_json(root, device));
    return to_text({{"devices", list}}) + "\n";
  }
  if (devices.empty()) return "This machine has no NVMe devices on PCI.\n";
  std::string text = fmt::format("{:<13} {:<24} {:<20} {:>8}  {:<9} {:>5} {:>4}  {}\n", "ADDRESS", "MODEL", "SERIAL", "SIZE", "DRIVER", "GROUP", "NUMA", "USED BY");
  for (const NvmeDevice& device : devices) text += to_line(root, device);
  return text;
}

void add_devices_options(CLI::App& command, DevicesOptions& options, std::function<int()>& chosen) {
  command.require_subcommand(0, 1);
  const std::map<std::string, OutputFormat> formats{{"normal", OutputFormat::kTable}, {"json", OutputFormat::kJson}};
  const auto add_format = [&](CLI::App& c) {
    c.add_option("-o,--output-format", options.output, "normal or json")->transform(CLI::CheckedTransformer(formats, CLI::ignore_case));
  };
  add_format(command);
  CLI::App* list = command.add_subcommand("list", "list the machine's NVMe devices; the default");
  add_format(*list);
  CLI::App* bind = command.add_subcommand("bind", "take a device from the kernel, for a driver in user space (VFIO)");
  bind->add_option("ADDRESS", options.bind.address, "PCI address, as `weft devices` lists it")->required();
  bind->add_flag("--force", options.bind.force, "take it with data on it; never while somebody uses it");
  bind->add_option("--owner", options.bind.owner, "the user who may open it");
  bind->add_flag("--unsafe-no-iommu", options.bind.allow_no_iommu, "where there is no IOMMU: the device can then write anywhere in memory");
  CLI::App* unbind = command.add_subcommand("unbind", "give a device back to the kernel");
  unbind->add_option("ADDRESS", options.unbind_address, "PCI address")->required();
  command.footer(
      "Examples:\n"
      "  weft devices\n"
      "  weft devices bind 0000:01:00.0 --owner weft\n"
      "  weft devices unbind 0000:01:00.0");
  command.callback([&, bind, unbind] {
    chosen = [&, is_bind = bind->parsed(), is_unbind = unbind->parsed()] {
      if (is_bind) return run_bind(options.bind);
      return is_unbind ? run_unbind(options.unbind_address) : run_list(options.output);
    };
  });
}

}  // namespace weft::app
