// The text of `weft serve --explain-memory`: every bound of the target and what it costs, from the table in
// core/limits.h.
#pragma once
#include "control/config.h"
#include "core/limits.h"

#include <cstdint>
#include <string>

namespace weft::control {

/// How many there are of what limits multiply with.
struct MemoryScale {
  uint32_t reactors = 1;
  uint32_t subsystems = 1;
  uint64_t ram_bytes = 0;  // of all `ram` namespaces
};

/// The scale of `config`; one reactor and one subsystem where it does not say.
MemoryScale scale_of(const Config& config);

/// A line for each row of kLimitTable, in its order, then `ram` and the total, ending in a newline. The total is what
/// everything can grow to when all bounds are reached at once. Requires: scale.reactors > 0 and scale.subsystems > 0.
std::string explain_memory(const Limits& limits, const MemoryScale& scale);

}  // namespace weft::control
