// The planted bugs: one line of production code each, under WEFT_PLANTED("name") (base/simulation.h), off until --plant
// NAME. Each proves a checker: a test runs worlds with it and must see that checker, or one that the bug reaches first,
// find it. Sorted by name.
#pragma once
#include <array>

namespace weft::sim {

struct Plant {
  const char* name;
  const char* checker;  // who finds it
  const char* breaks;   // what it does
};

inline constexpr std::array<Plant, 0> kPlants{};

}  // namespace weft::sim
