#include "control/config.h"

#include <set>

namespace weft::control {

Config with_nsids(Config config) {
  for (SubsystemConfig& subsystem : config.subsystems) {
    std::set<uint32_t> used;
    for (const NamespaceConfig& ns : subsystem.namespaces) used.insert(ns.nsid);
    uint32_t next = 1;
    for (NamespaceConfig& ns : subsystem.namespaces) {
      if (ns.nsid != 0) continue;
      while (used.contains(next)) ++next;
      ns.nsid = next++;
    }
  }
  return config;
}

}  // namespace weft::control
