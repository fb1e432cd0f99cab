#include "control/validate.h"

#include "base/assert.h"
#include "control/address.h"
#include "wire/fabrics/connect.h"
#include "wire/fabrics/nqn.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <tuple>
#include <utility>

namespace weft::control {
namespace {

constexpr uint32_t kBlockSizeDefault = 512;  // of ram, null and files
constexpr size_t kSerialBytesMax = 20;       // NVMe Base 2.0 §5.17.2.1: SN
constexpr size_t kModelBytesMax = 40;        // MN

struct Words {
  Location whole;  // where problems of the whole configuration stand
  std::string_view listener;
  std::string_view subsystem;
  std::string_view device;
  std::string_view allow_host;
  std::string_view cores;
  std::string_view add_listener;
  std::string_view add_subsystem;
  std::string_view add_namespace;
  std::string_view list_hosts;
  std::string_view allow_any_host;
};

constexpr Words kFileWords{
    .whole = {1, 1},
    .listener = "address",
    .subsystem = "nqn",
    .device = "device",
    .allow_host = "allow_hosts",
    .cores = "cores of [target]",
    .add_listener = "[[listener]] with address = \"127.0.0.1:4420\"",
    .add_subsystem = "[[subsystem]]",
    .add_namespace = "[[subsystem.namespace]] with device = \"ram:1GiB\"",
    .list_hosts = "list them in allow_hosts",
    .allow_any_host = "allow_any_host = true",
};

constexpr Words kFlagWords{
    .whole = {},
    .listener = "--listen",
    .subsystem = "--subsystem",
    .device = "--namespace",
    .allow_host = "--allow-host",
    .cores = "--cores",
    .add_listener = "--listen 127.0.0.1:4420",
    .add_subsystem = "--subsystem NQN",
    .add_namespace = "--namespace ram:1GiB",
    .list_hosts = "list them with --allow-host HOSTNQN",
    .allow_any_host = "--allow-any-host",
};

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// Looser than a subsystem's NQN, because hosts in use have names that the specification does not foresee.
bool is_host_nqn(std::string_view text) {
  const bool has_control =
      std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return text.starts_with("nqn.") && text.size() > 4 && text.size() <= fabrics::kNqnLengthMax && !has_control;
}

std::string called(const SubsystemConfig& subsystem) {
  return subsystem.nqn.empty() ? "the subsystem with the default NQN" : "subsystem " + shown(subsystem.nqn);
}

class Validator {
 public:
  Validator(const Config& config, const Words& words) : config_(config), words_(words) {}

  Problems run() {
    check_cores();
    check_listeners();
    if (config_.subsystems.empty()) report(words_.whole, "no subsystem: add {}", words_.add_subsystem);
    for (const SubsystemConfig& subsystem : config_.subsystems) {
      check_names(subsystem);
      check_hosts(subsystem);
      check_access(subsystem);
      check_namespaces(subsystem);
    }
    return std::move(problems_);
  }

 private:
  template <typename... Args>
  void report(Location at, fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back({at, fmt::format(format, std::forward<Args>(args)...)});
  }

  void check_cores() {
    std::set<uint32_t> seen;
    for (const uint32_t core : config_.target.cores) {
      if (!seen.insert(core).second) report(config_.target.cores_at, "{}: core {} is listed twice", words_.cores, core);
    }
  }

  void check_listeners() {
    if (config_.listeners.empty()) report(words_.whole, "no listener: add {}", words_.add_listener);
    std::set<std::string> seen;
    std::set<std::tuple<Scheme, bool, uint16_t>> wildcards;  // transport, is_ipv6, port
    for (const auto& [at, address, scheme] : config_.listeners) {
      if (is_wildcard(address) && address.port != 0) wildcards.emplace(scheme, address.is_ipv6, address.port);
    }
    for (const ListenerConfig& listener : config_.listeners) {
      const auto& [at, address, scheme] = listener;
      if (address.port == 0) continue;
      const std::string text = to_text(listener.endpoint());
      if (!seen.insert(text).second) {
        report(at, "{} {} is given twice: leave one out", words_.listener, text);
      } else if (!is_wildcard(address) && wildcards.contains({scheme, address.is_ipv6, address.port})) {
        report(at, "{} {} is covered by the wildcard address of port {}: leave one out", words_.listener, text, address.port);
      }
    }
  }

  void check_names(const SubsystemConfig& subsystem) {
    const Location at = subsystem.at;
    if (!nqns_.insert(subsystem.nqn).second) {
      if (subsystem.nqn.empty()) {
        report(at, "only one subsystem may go without an NQN: give the others {}", words_.subsystem);
      } else {
        report(at, "{} {} is given twice: every subsystem needs its own", words_.subsystem, shown(subsystem.nqn));
      }
    }
    if (!subsystem.nqn.empty() && !fabrics::is_valid_nqn(subsystem.nqn)) {
      report(at,
             "{} {} is not an NQN: write nqn.YYYY-MM.REVERSE.DOMAIN:NAME or nqn.2014-08.org.nvmexpress:uuid:UUID, at "
             "most {} bytes",
             words_.subsystem, shown(subsystem.nqn), fabrics::kNqnLengthMax);
    }
    if (subsystem.nqn == fabrics::kDiscoveryNqn) {
      report(at, "{} {} is the discovery service's: every listener has it already", words_.subsystem, subsystem.nqn);
    }
    check_label(at, "serial", subsystem.serial, kSerialBytesMax);
    check_label(at, "model", subsystem.model, kModelBytesMax);
    if (!subsystem.serial.empty() && !serials_.insert(subsystem.serial).second) {
      report(at, "serial {} is given twice: hosts name disks after it", shown(subsystem.serial));
    }
  }

  void check_label(Location at, std::string_view what, std::string_view text, size_t bytes_max) {
    if (text.empty()) return;
    if (text.size() > bytes_max || !is_printable_ascii(text) || text.starts_with(' ') || text.ends_with(' ')) {
      report(at, "{} {} does not fit: at most {} printable ASCII characters, no space at either end", what, shown(text),
             bytes_max);
    }
  }

  void check_hosts(const SubsystemConfig& subsystem) {
    std::set<std::string_view> seen;
    for (const std::string& host : subsystem.allow_hosts) {
      if (!is_host_nqn(host)) {
        report(subsystem.at, "{} {} is not a host NQN: it is on the host in /etc/nvme/hostnqn and starts with nqn.",
               words_.allow_host, shown(host));
      } else if (!seen.insert(host).second) {
        report(subsystem.at, "{} {} is given twice for {}", words_.allow_host, shown(host), called(subsystem));
      }
    }
  }

  void check_access(const SubsystemConfig& subsystem) {
    const bool lists_hosts = !subsystem.allow_hosts.empty();
    if (subsystem.allow_any_host.has_value()) {
      if (*subsystem.allow_any_host && lists_hosts) {
        report(subsystem.at, "{}: {} makes the listed hosts meaningless: leave one of the two out", called(subsystem),
               words_.allow_any_host);
      }
      if (!*subsystem.allow_any_host && !lists_hosts) {
        report(subsystem.at, "{}: no host may connect: {} or say {}", called(subsystem), words_.list_hosts,
               words_.allow_any_host);
      }
      return;
    }
    if (lists_hosts) return;
    if (const net::Address* open = first_reachable_listener()) {
      report(subsystem.at, "{}: others than this machine reach {}, so say which hosts may connect: {} or say {}",
             called(subsystem), to_text(*open), words_.list_hosts, words_.allow_any_host);
    } else if (const DeviceSpec* disk = first_block_device(subsystem)) {
      report(subsystem.at, "{}: {} is a disk, so say which hosts may connect, even on loopback: {} or say {}",
             called(subsystem), shown(disk->path), words_.list_hosts, words_.allow_any_host);
    }
  }

  const net::Address* first_reachable_listener() const {
    const auto found =
        std::ranges::find_if(config_.listeners, [](const ListenerConfig& l) { return !is_loopback(l.address); });
    return found == config_.listeners.end() ? nullptr : &found->address;
  }

  static const DeviceSpec* first_block_device(const SubsystemConfig& subsystem) {
    const auto found = std::ranges::find_if(
        subsystem.namespaces, [](const NamespaceConfig& ns) { return ns.device.kind == DeviceKind::kBlockDevice || ns.device.kind == DeviceKind::kNvme; });
    return found == subsystem.namespaces.end() ? nullptr : &found->device;
  }

  void check_namespaces(const SubsystemConfig& subsystem) {
    const uint32_t namespaces_max = config_.target.limits.namespaces;
    if (subsystem.namespaces.empty())
      report(subsystem.at, "{} has no namespace: add {}", called(subsystem), words_.add_namespace);
    if (subsystem.namespaces.size() > namespaces_max) {
      report(subsystem.at, "{} has more than {} namespaces: move some to another subsystem", called(subsystem),
             namespaces_max);
    }
    std::set<uint32_t> nsids;
    for (const NamespaceConfig& ns : subsystem.namespaces) {
      WEFT_ASSERT(ns.nsid != 0);
      if (!nsids.insert(ns.nsid).second) report(ns.at, "NSID {} is given twice in {}", ns.nsid, called(subsystem));
      check_device(ns);
    }
  }

  void check_device(const NamespaceConfig& ns) {
    const DeviceSpec& device = ns.device;
    if (device.block_size != 0 && device.block_size != 512 && device.block_size != 4096) {
      report(ns.at, "{} {}: the block size {} is not one: write 512 or 4096", words_.device, shown(to_text(device)),
             device.block_size);
    } else if (const uint32_t block = device.block_size != 0 ? device.block_size : kBlockSizeDefault;
               device.size_bytes % block != 0) {
      report(ns.at, "{} {}: the size {} is not a multiple of the block size {}: {} is", words_.device,
             shown(to_text(device)), device.size_bytes, block,
             std::max<uint64_t>(device.size_bytes / block * block, block));
    }
    if (device.uuid && device.uuid->is_nil())
      report(ns.at, "the UUID of a namespace cannot be all zeroes: leave it out");
    if (device.uuid && !uuids_.insert(*device.uuid).second) {
      report(ns.at, "UUID {} is given twice: hosts would take the two namespaces for one", to_text(*device.uuid));
    }
    if (!device.path.empty() && !media_.insert(medium_of(device)).second) {
      report(ns.at, "{} {} is given twice: one medium backs one namespace", words_.device, shown(device.path));
    }
  }

  /// What two namespaces must not share. A PCI address without its domain is in domain 0.
  static std::string medium_of(const DeviceSpec& device) {
    if (device.kind != DeviceKind::kNvme) return std::filesystem::path{device.path}.lexically_normal().string();
    const bool has_domain = std::ranges::count(device.path, ':') > 1;
    return fmt::format("{}{},{}", has_domain ? "" : "0000:", device.path, device.nsid);
  }

  const Config& config_;
  const Words& words_;
  Problems problems_;
  std::set<std::string_view> nqns_;
  std::set<std::string_view> serials_;
  std::set<Uuid> uuids_;
  std::set<std::string> media_;
};

}  // namespace

Problems validate(const Config& config, Wording wording) {
  return Validator{config, wording == Wording::kFile ? kFileWords : kFlagWords}.run();
}

}  // namespace weft::control
