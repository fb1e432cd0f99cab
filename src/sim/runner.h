// Runs worlds by seed, one after the other, and says on stdout how each went: its number first, so that also a crash
// leaves it there; after a failure three lines that bring it back.
#pragma once
#include "sim/scenario.h"
#include "sim/setting.h"
#include "sim/trace.h"
#include "sim/world.h"

#include <cstdint>
#include <optional>
#include <string>

namespace weft::sim {

struct RunOptions {
  uint64_t first = 1;  // seeds, both included
  uint64_t last = 1;
  std::string scenario_path;  // empty: none
  Scenario scenario;
  std::string plant;  // the bug that is switched on; empty: none
  Trace::Print print = Trace::Print::kNo;
  uint64_t rerun_every = 16;  // so many seeds, one is run twice and must give the same trace; 0: none
};

class Runner {
 public:
  explicit Runner(RunOptions options);
  /// Returns whether no world had a finding. Stops at the first one.
  bool run();

 private:
  Report run_once(uint64_t seed, Trace::Print print);

  RunOptions options_;
  Graveyard& graveyard_;
  Report sum_;
};

}  // namespace weft::sim
