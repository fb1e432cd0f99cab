// What every part of a simulated world works with. Owned by the world, which outlives all parts.
#pragma once
#include "sim/agenda.h"
#include "sim/network.h"
#include "sim/rdma_fabric.h"
#include "sim/referee.h"
#include "sim/trace.h"

#include <memory>
#include <vector>

namespace weft::sim {

/// Processes that died. A crash runs no destructor, so what the process had is never destroyed either: it is kept,
/// halted, to the end of the program.
class Graveyard {
 public:
  template <typename T>
  void bury(std::unique_ptr<T> process) {
    processes_.push_back(process.release());
  }
  size_t count() const { return processes_.size(); }

 private:
  std::vector<void*> processes_;  // keeps them reachable, so that a leak checker does not report them
};

struct Setting {
  Agenda& agenda;
  Trace& trace;
  Referee& referee;
  Network& network;
  RdmaFabric& rdma;
  Graveyard& graveyard;
};

}  // namespace weft::sim
