// A subsystem: its names, who may connect, its namespaces, and the register of its controllers. The configuration part does not change; the
// register and the list of namespaces belong to the target's home reactor. Each shard has a SubsystemView of it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nvmf/namespace_view.h"
#include "nvmf/registry.h"

namespace weft::nvmf {

enum class SubsystemKind : uint8_t { kNvm, kDiscovery };

/// Which hosts may connect. Empty `hosts` and no `allow_any_host`: any host over a loopback listener, nobody elsewhere.
struct HostAccess {
  bool allow_any_host = false;
  std::vector<std::string> hosts;  // host NQNs, compared byte for byte
  bool allows(std::string_view host_nqn, bool is_loopback_listener) const;
};

struct SubsystemConfig {
  std::string nqn;
  std::string serial;    // SN, at most 20 ASCII characters
  std::string model = "Weft";
  HostAccess access;
  bool has_subsystem_reset = false;  // CAP.NSSRS: the reset reaches every host's controllers
};

class Subsystem {
 public:
  Subsystem(uint32_t index, SubsystemKind kind, SubsystemConfig config, uint32_t controllers_max)
      : index_(index), kind_(kind), config_(std::move(config)), registry_(controllers_max) {}

  uint32_t index() const { return index_; }
  SubsystemKind kind() const { return kind_; }
  bool is_discovery() const { return kind_ == SubsystemKind::kDiscovery; }
  const SubsystemConfig& config() const { return config_; }

  // Home reactor only.
  Registry& registry() { return registry_; }
  std::map<uint32_t, std::unique_ptr<Namespace>>& namespaces() { return namespaces_; }

 private:
  uint32_t index_;
  SubsystemKind kind_;
  SubsystemConfig config_;
  Registry registry_;
  std::map<uint32_t, std::unique_ptr<Namespace>> namespaces_;  // by NSID
};

/// A subsystem as one shard sees it. Changed by messages from the home reactor only.
struct SubsystemView {
  Subsystem& subsystem;
  std::map<uint32_t, std::unique_ptr<NamespaceView>> by_nsid;  // for lists, ascending
  std::vector<NamespaceView*> table;                           // index NSID - 1, for the I/O path; null where there is none

  NamespaceView* find(uint32_t nsid) const { return nsid - 1 < table.size() ? table[nsid - 1] : nullptr; }
};

}  // namespace weft::nvmf
