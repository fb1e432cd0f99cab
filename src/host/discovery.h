// Reading the discovery log: header, entries in pieces, header again until nothing changed in between. NVM Express Base 2.0 §5.16.1.23.
#pragma once
#include <string>
#include <vector>

#include "host/controller.h"
#include "wire/fabrics/discovery.h"

namespace weft::host {

struct DiscoveryLog {
  uint64_t genctr = 0;
  std::vector<fabrics::DiscoveryLogEntry> entries;
};

inline constexpr uint64_t kDiscoveryRecordsMax = 16384;  // more than this is refused: a target's number is not believed for an allocation
inline constexpr int kDiscoveryAttempts = 10;

/// Requires: `controller` is connected to a discovery service and outlives the task. Errors: kBusy when the log changes all the time.
Task<Result<DiscoveryLog>> read_discovery_log(Controller& controller);

/// "tcp", "rdma", "fc", "loop" or "unknown"; and so on, as nvme-cli prints them.
std::string_view name_of(fabrics::Trtype type);
std::string_view name_of(fabrics::Adrfam family);
std::string_view name_of(fabrics::Subtype subtype);
std::string_view name_of(fabrics::Sectype type);
std::string treq_text(uint8_t treq);
std::string eflags_text(uint16_t eflags);

}  // namespace weft::host
