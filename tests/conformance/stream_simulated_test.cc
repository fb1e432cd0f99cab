// The stream suite on the simulated network: as it comes, and as rough as it may be without breaking a connection.
#include "core/test_support.h"
#include "sim/core.h"
#include "sim/net.h"
#include "tests/conformance/stream_conformance.h"

#include <array>

namespace weft::conformance {
namespace {

struct NoTap final : sim::WireTap {
  void on_sent(sim::Side, std::span<const std::byte>, Instant) override {}
  void on_received(sim::Side, std::span<const std::byte>, Instant) override {}
  void on_closed(sim::Side, Instant) override {}
  void on_finished(sim::Side, Instant) override {}
  bool is_under_digests(sim::Side) const override { return false; }
};

struct NoTaps final : sim::WireTaps {
  std::unique_ptr<sim::WireTap> connected(size_t, size_t, const net::Address&, Instant) override {
    return std::make_unique<NoTap>();
  }
};

template <bool kIsRough>
class SimulatedWorld {
 public:
  using Net = sim::Net;
  static constexpr size_t kBigBytes = kIsRough ? 64 << 10 : 1 << 20;

  SimulatedWorld() {
    if (kIsRough) {
      network_.set_options({.latency = nanoseconds(1),
                            .jitter = milliseconds(1),
                            .capacity = 1000,
                            .one_byte_one_in = 3,
                            .short_send_one_in = 3});
    }
  }
  Net& net(Place place) { return side(place).net; }
  Reactor& reactor(Place place) { return side(place).reactor; }
  void turn() {
    for (Side& side : sides_) side.reactor.run_once();
    agenda_.step();
  }
  void settle() {
    do turn();
    while (agenda_.next() != Instant::never());
    turn();
    turn();
  }
  net::Address listen_address() const { return sim::Network::address_of(kServerMachine, 0); }
  net::Address wildcard_address() const { return {"0.0.0.0", 0, false}; }
  net::Address unused_address() const { return sim::Network::address_of(kServerMachine, 1); }

 private:
  static constexpr size_t kServerMachine = 0, kClientMachine = 1;
  struct Side {
    Side(sim::Agenda& agenda, sim::Network& network, size_t machine)
        : core(agenda, machine), net(network, machine, core) {
      reactor.add(net);
    }
    ~Side() { reactor.remove(net); }
    sim::Core core;
    testing_support::NullSink sink;
    Reactor reactor{{}, core, sink};
    Net net;
  };
  Side& side(Place place) { return sides_[size_t(place)]; }

  sim::Agenda agenda_{1};
  sim::Trace trace_{sim::Trace::Print::kNo};
  NoTaps taps_;
  sim::Network network_{agenda_, 1, trace_, taps_};
  std::array<Side, 3> sides_{Side{agenda_, network_, kServerMachine}, Side{agenda_, network_, kServerMachine},
                             Side{agenda_, network_, kClientMachine}};
};

using Worlds = ::testing::Types<SimulatedWorld<false>, SimulatedWorld<true>>;

struct WorldNames {
  template <typename W>
  static std::string GetName(int index) {
    return index == 0 ? "Simulated" : "SimulatedRough";
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(All, StreamConformance, Worlds, WorldNames);

}  // namespace
}  // namespace weft::conformance
