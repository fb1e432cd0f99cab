// Reading the discovery log: header, entries in pieces, header again until nothing changed in between. NVM Express Base 2.0 §5.16.1.23.
#pragma once
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

}  // namespace weft::host
