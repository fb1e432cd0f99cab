// The verbs suite on verbs in memory, which unit tests use, and on a real device where WEFT_RDMA_ADDRESS names an address of one: soft-RoCE or
// software iWARP in the guest.
#include "tests/conformance/verbs_conformance.h"

#include "core/test_support.h"
#include "platform/linux/ib_verbs.h"
#include "verbs/memory_verbs.h"

#include <array>
#include <cstdlib>

namespace weft::conformance {
namespace {

class MemoryWorld {
 public:
  using Verbs = weft::verbs::MemoryVerbs;
  static constexpr bool kHasSharedReceives = true;
  static std::string why_not() { return {}; }
  MemoryWorld() {
    fabric_.device.has_windows = true;
    for (Verbs& each : sides_) reactor_.add(each);
  }
  ~MemoryWorld() {
    for (Verbs& each : sides_) reactor_.remove(each);
  }
  Verbs& verbs(VerbsSide side) { return sides_[size_t(side)]; }
  void turn() { reactor_.run_once(); }
  net::Address listen_address() const { return {"127.0.0.1", 0, false}; }

 private:
  testing_support::ManualClock clock_;
  testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  weft::verbs::MemoryFabric fabric_;
  std::array<Verbs, 2> sides_{Verbs{fabric_}, Verbs{fabric_}};
};

template <platform::SharedReceives kUse>
class DeviceWorld {
 public:
  using Verbs = platform::IbVerbs;
  static constexpr bool kHasSharedReceives = kUse == platform::SharedReceives::kWhereThereAre;
  static std::string why_not() { return address().empty() ? "WEFT_RDMA_ADDRESS names no device's address" : ""; }
  Verbs& verbs(VerbsSide side) { return sides_[size_t(side)].verbs; }
  void turn() {
    for (Side& each : sides_) each.reactor.run_once();
    Side& last = sides_.back();
    last.loop->wait(last.loop->now() + microseconds(200));
  }
  net::Address listen_address() const { return {address(), 0, address().find(':') != std::string::npos}; }

 private:
  static std::string address() {
    const char* text = std::getenv("WEFT_RDMA_ADDRESS");
    return text == nullptr ? "" : text;
  }
  struct Side {
    explicit Side(platform::RdmaControl& control) : verbs(*loop, reactor, control) { reactor.add(*loop); }
    ~Side() { reactor.remove(*loop); }
    std::unique_ptr<platform::EventLoop> loop = std::move(*platform::EventLoop::create());
    testing_support::NullSink sink;
    Reactor reactor{{}, *loop, sink};
    Verbs verbs;
  };
  static std::unique_ptr<platform::RdmaControl> started() {
    auto control = platform::RdmaControl::start(kUse);
    WEFT_ASSERT(control.has_value());
    return std::move(*control);
  }

  std::unique_ptr<platform::RdmaControl> control_ = started();
  std::array<Side, 2> sides_{Side{*control_}, Side{*control_}};
};

using Worlds = ::testing::Types<MemoryWorld, DeviceWorld<platform::SharedReceives::kWhereThereAre>, DeviceWorld<platform::SharedReceives::kNever>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Real, VerbsConformance, Worlds);

}  // namespace
}  // namespace weft::conformance
