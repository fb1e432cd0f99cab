// The stream suite on sockets of the loopback interface, and on the network in memory that unit tests use.
#include "tests/conformance/stream_conformance.h"

#include "core/test_support.h"
#include "net/memory_net.h"
#include "platform/linux/epoll_net.h"

#include <array>
#include <chrono>

namespace weft::conformance {
namespace {

/// The loopback interface of the kernel, where each reactor sleeps on its event loop.
template <net::Net N>
class SocketWorld {
 public:
  using Net = N;
  static constexpr size_t kBigBytes = 2 << 20;

  Net& net(Place place) { return side(place).net; }
  Reactor& reactor(Place place) { return side(place).reactor; }
  void turn() {
    if (run_all() > 0) return;
    Side& last = sides_.back();
    last.loop->wait(last.loop->now() + microseconds(200));
  }
  /// The kernel's work is not ours to see: ten milliseconds without an event.
  void settle() {
    Side& last = sides_.back();
    for (Instant end = last.loop->now() + kQuiet; last.loop->now() < end;) {
      if (run_all() > 0) end = last.loop->now() + kQuiet;
      last.loop->wait(last.loop->now() + microseconds(500));
    }
  }
  net::Address listen_address() const { return {"127.0.0.1", 0, false}; }
  net::Address wildcard_address() const { return {"0.0.0.0", 0, false}; }
  /// One that was free a moment ago.
  net::Address unused_address() {
    struct Nobody final : net::ListenerEvents<typename Net::Handle> {
      void on_accepted(typename Net::Handle, const net::Address&) override {}
    } nobody;
    return net(Place::kServer).listen(listen_address(), nobody).value()->address();
  }

 private:
  static constexpr Duration kQuiet = milliseconds(10);
  struct Side {
    Side() { reactor.add(*loop); }
    ~Side() { reactor.remove(*loop); }
    std::unique_ptr<platform::EventLoop> loop = std::move(*platform::EventLoop::create());
    testing_support::NullSink sink;
    Reactor reactor{{}, *loop, sink};
    Net net{*loop, reactor};
  };
  Side& side(Place place) { return sides_[size_t(place)]; }
  size_t run_all() {
    size_t worked = 0;
    for (Side& one : sides_) worked += one.reactor.run_once() == Reactor::Turn::kWorked ? 1 : 0;
    return worked;
  }
  std::array<Side, 3> sides_;
};

/// The network in memory is one reactor's; what it may be asked for: a second one adopts from it.
template <size_t kCapacity, size_t kSegmentBytes, size_t kBig>
class MemoryWorld {
 public:
  using Net = net::MemoryNet;
  static constexpr size_t kBigBytes = kBig;

  MemoryWorld() {
    for (Side* side : {&here_, &other_}) side->reactor.add(side->net);
  }
  ~MemoryWorld() {
    for (Side* side : {&here_, &other_}) side->reactor.remove(side->net);
  }
  Net& net(Place place) { return side(place).net; }
  Reactor& reactor(Place place) { return side(place).reactor; }
  void turn() {
    here_.reactor.run_once();
    other_.reactor.run_once();
  }
  void settle() {
    for (int i = 0; i < 100; ++i) turn();
  }
  net::Address listen_address() const { return {"127.0.0.1", 0, false}; }
  net::Address wildcard_address() const { return {"0.0.0.0", 0, false}; }
  net::Address unused_address() const { return {"127.0.0.1", 1, false}; }

 private:
  struct Side {
    testing_support::ManualClock clock;
    testing_support::NullSink sink;
    Reactor reactor{{}, clock, sink};
    Net net{{.capacity = kCapacity, .segment_bytes = kSegmentBytes}};
  };
  Side& side(Place place) { return place == Place::kOther ? other_ : here_; }
  Side here_, other_;
};

using Worlds = ::testing::Types<SocketWorld<platform::EpollNet>, MemoryWorld<1 << 20, 1 << 20, 1 << 20>, MemoryWorld<64, 1, 1 << 11>>;

struct WorldNames {
  template <typename W>
  static std::string GetName(int index) {
    return std::array{"Epoll", "Memory", "MemoryByteByByte"}[size_t(index)];
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(All, StreamConformance, Worlds, WorldNames);

}  // namespace
}  // namespace weft::conformance
