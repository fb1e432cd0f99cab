// A subsystem: its names, who may connect, its namespaces, and the register of its controllers. Its names do not change once hosts can connect; the rest
// belongs to the target's home reactor. Each shard has a SubsystemView of it.
#pragma once
#include <functional>
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
  HostAccess access;     // at first
  bool has_subsystem_reset = false;  // CAP.NSSRS: the reset reaches every host's controllers
};

class Subsystem {
 public:
  Subsystem(uint32_t index, SubsystemKind kind, SubsystemConfig config, uint32_t controllers_max)
      : index_(index), kind_(kind), config_(std::move(config)), access_(config_.access), registry_(controllers_max) {}

  /// Of no other subsystem, also not of one that is gone.
  uint32_t index() const { return index_; }
  SubsystemKind kind() const { return kind_; }
  bool is_discovery() const { return kind_ == SubsystemKind::kDiscovery; }
  const SubsystemConfig& config() const { return config_; }

  // --- on the home reactor only ---------------------------------------------------------------------------------------------------------
  Registry& registry() { return registry_; }
  const HostAccess& access() const { return access_; }
  void set_access(HostAccess access) { access_ = std::move(access); }
  /// Requires: no host could connect yet.
  void set_serial(std::string serial) { config_.serial = std::move(serial); }
  /// What a host's Connect gets here, whatever its shard has said already: access may have changed meanwhile.
  nvme::Status admits(std::string_view host_nqn, bool is_loopback_listener) const;
  std::map<uint32_t, std::unique_ptr<Namespace>>& namespaces() { return namespaces_; }
  void erase_namespace(uint32_t nsid);
  /// Runs `then` when there is no namespace: now, or later.
  void when_empty(std::move_only_function<void()> then);
  /// It is being removed: takes no host and no namespace any more.
  void leave() { is_leaving_ = true; }
  bool is_leaving() const { return is_leaving_; }

 private:
  uint32_t index_;
  SubsystemKind kind_;
  SubsystemConfig config_;
  HostAccess access_;
  bool is_leaving_ = false;
  Registry registry_;
  std::map<uint32_t, std::unique_ptr<Namespace>> namespaces_;  // by NSID
  std::move_only_function<void()> on_empty_;
};

/// A subsystem as one shard sees it. Changed by messages from the home reactor only.
struct SubsystemView {
  Subsystem& subsystem;
  HostAccess access;
  bool is_leaving = false;  // hosts find it no more
  std::map<uint32_t, std::unique_ptr<NamespaceView>> by_nsid;  // for lists, ascending
  std::vector<NamespaceView*> table;                           // index NSID - 1, for the I/O path; null where there is none

  NamespaceView* find(uint32_t nsid) const { return nsid - 1 < table.size() ? table[nsid - 1] : nullptr; }
};

}  // namespace weft::nvmf
