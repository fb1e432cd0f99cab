// Where hosts can reach the target, and what the discovery log is made of besides the subsystems: each shard has its own copy, replaced by
// message from the home reactor.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "nvmf/transport_ops.h"

namespace weft::nvmf {

/// A listener, as the discovery log shows it.
struct ListenerRecord {
  TransportType type = TransportType::kTcp;
  std::string host;  // without brackets; a wildcard is shown as the address the asking host reached us at
  uint16_t port = 0;
  bool is_ipv6 = false;
  bool is_wildcard = false;
  bool is_loopback = false;
};

struct DiscoveryFacts {
  std::vector<ListenerRecord> listeners;
  uint64_t generation = 1;  // GENCTR: another one for every change of what any host can see
};

}  // namespace weft::nvmf
