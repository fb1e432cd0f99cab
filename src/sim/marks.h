// The probes and plants that are linked into this program (base/simulation.h), by name.
#pragma once
#include "base/simulation.h"

#include <string_view>
#include <vector>

namespace weft::sim {

/// In the order of their names.
std::vector<Mark*> marks(Mark::Kind kind);
/// Switches the bug on. False when there is none of that name.
bool turn_on_plant(std::string_view name);

}  // namespace weft::sim
