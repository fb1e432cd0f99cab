// Names an association while it lives: a controller of a subsystem of a target.
#pragma once
#include "sim/checkers/wire_events.h"

#include <compare>
#include <string>

namespace weft::sim {

struct AssociationKey {
  size_t target_machine;
  std::string subnqn;
  uint16_t cntlid;
  friend auto operator<=>(const AssociationKey&, const AssociationKey&) = default;
};

/// Requires: queue.is_connected.
inline AssociationKey key_of(const WireQueue& queue) { return {queue.target_machine, queue.subnqn, queue.cntlid}; }

}  // namespace weft::sim
