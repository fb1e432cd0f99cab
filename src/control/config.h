// What a configuration says, whether it came from a file (config_toml.h) or from flags (app/serve_options.h): plain
// values, nothing opened, nothing resolved. A Config that a loader returned has passed validate(). Every key is
// described in docs/configuration.md.
#pragma once
#include "control/address.h"
#include "control/device_spec.h"
#include "control/problem.h"
#include "core/limits.h"
#include "net/stream.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft::control {

enum class PollMode : uint8_t {
  kAdaptive,  // poll while there is work, then block
  kAlways,    // poll for ever: one whole core per reactor
};

/// What carries the sockets.

struct TargetConfig {
  Location cores_at;
  std::vector<uint32_t> cores;  // one reactor on each, in this order; empty: not said
  PollMode poll = PollMode::kAdaptive;
  Limits limits;  // defaults, but for those that the configuration may change
};

struct ListenerConfig {
  Location at;
  net::Address address;  // numeric
  Scheme scheme = Scheme::kTcp;
  Endpoint endpoint() const { return {scheme, address}; }
};

struct NamespaceConfig {
  Location at;
  uint32_t nsid = 0;  // 0 only before with_nsids()
  DeviceSpec device;
};

struct SubsystemConfig {
  Location at;
  std::string nqn;                     // empty: the default one, from the machine's id
  std::optional<bool> allow_any_host;  // absent: not said
  std::vector<std::string> allow_hosts;
  std::string serial;            // empty: derived
  std::string model;             // empty: the product's name
  bool subsystem_reset = false;  // whether a host may reset the subsystem, which reaches all hosts
  std::vector<NamespaceConfig> namespaces;
};

struct Config {
  TargetConfig target;
  std::vector<ListenerConfig> listeners;
  std::vector<SubsystemConfig> subsystems;
};

/// Whether every host may connect. Requires: the configuration is valid; then "not said and nobody listed" means
/// loopback listeners only.
inline bool accepts_any_host(const SubsystemConfig& subsystem) {
  return subsystem.allow_any_host.value_or(subsystem.allow_hosts.empty());
}

/// The configuration with every namespace that gives no NSID at the lowest one that is free in its subsystem, in the
/// order of the text.
Config with_nsids(Config config);

}  // namespace weft::control
