// A world of the verbs suite: two simulated machines with an RDMA device each.
#pragma once
#include "core/test_support.h"
#include "sim/core.h"
#include "sim/rdma_fabric.h"
#include "tests/conformance/verbs_conformance.h"
#include "verbs/memory_verbs.h"

#include <array>

namespace weft::conformance {

class SimulatedRdma {
 public:
  using Verbs = weft::verbs::MemoryVerbs;
  static constexpr bool kHasSharedReceives = true;
  static constexpr size_t kTargetMachine = 0, kHostMachine = 1;
  static std::string why_not() { return {}; }

  Verbs& verbs(VerbsSide side) { return sides_[size_t(side)].verbs; }
  void turn() {
    for (Side& side : sides_) side.reactor.run_once();
    agenda_.step();
  }
  net::Address listen_address() const { return sim::Network::address_of(kTargetMachine, 0); }

  /// Lets so much time pass.
  void pass(Duration time) {
    for (const Instant end = agenda_.now() + time; agenda_.now() < end;) {
      agenda_.run_until(agenda_.now() + microseconds(100));
      fabric.check();
      for (Side& side : sides_) side.reactor.run_once();
    }
  }
  /// The checker that has found something; empty: none.
  std::string finding() const { return referee_.finding() ? referee_.finding()->checker : ""; }

 private:
  struct NoTaps final : sim::WireTaps {
    std::unique_ptr<sim::WireTap> connected(size_t, size_t, const net::Address&, Instant) override { return nullptr; }
  };
  struct Side {
    Side(sim::Agenda& agenda, sim::RdmaFabric& fabric, size_t machine) : core(agenda, machine), verbs(fabric, machine) { reactor.add(verbs); }
    ~Side() { reactor.remove(verbs); }
    sim::Core core;
    testing_support::NullSink sink;
    Reactor reactor{{}, core, sink};
    Verbs verbs;
  };

  sim::Agenda agenda_{1};
  sim::Trace trace_{sim::Trace::Print::kNo};
  sim::Referee referee_;
  NoTaps taps_;

 public:
  sim::Network network{agenda_, 1, trace_, taps_};
  sim::RdmaFabric fabric{{agenda_, trace_, referee_, network}, 1};

 private:
  std::array<Side, 2> sides_{Side{agenda_, fabric, kTargetMachine}, Side{agenda_, fabric, kHostMachine}};
};

}  // namespace weft::conformance
