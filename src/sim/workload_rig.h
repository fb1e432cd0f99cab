// For tests of the workload and the oracle: one host and one target on one reactor over the in-memory network, with one
// namespace on any device. Not part of any library.
#pragma once
#include "core/test_support.h"
#include "host/controller.h"
#include "host/tcp_transport.h"
#include "net/memory_net.h"
#include "nvmf/target.h"
#include "sim/workload.h"
#include "transport/tcp/acceptor.h"

#include <memory>
#include <string>

namespace weft::sim::testing_support {

class WorkloadRig {
 public:
  static constexpr char kNqn[] = "nqn.2026-01.test:weft";

  WorkloadRig(std::unique_ptr<bdev::Bdev> device, const VolumeTraits& traits)
      : volume(traits, referee), net_({}), server_(reactor, sockets()), client_(reactor, sockets()) {
    const nvmf::Target::ShardResources resources{reactor, memory};
    target_ = std::move(*nvmf::Target::create(limits(), {&resources, 1}));
    nvmf::Subsystem& subsystem = **target_->add_subsystem({.nqn = kNqn, .serial = "RIG", .access = {.allow_any_host = true}});
    nvmf::NamespaceIdentity identity;
    identity.uuid.fill(std::byte{1});
    target_->add_namespace(subsystem, traits.nsid, identity, std::move(device), [](const Result<void>& added) { WEFT_ASSERT(added); });
    reactor.add(net_);
    reactor.add(server_);
    reactor.add(client_);
    turn(10);
    const tcp::Acceptor<net::MemoryNet>::Room room{net_, server_, *target_->shards().front()};
    acceptor_ = std::make_unique<tcp::Acceptor<net::MemoryNet>>(target_->limits(), std::span(&room, 1));
    address_ = *acceptor_->listen({"127.0.0.1", 0, false});
    target_->set_listeners({{.host = address_.host, .port = address_.port, .is_loopback = true}});
  }
  ~WorkloadRig() {
    disconnect();
    bool is_empty = false;
    acceptor_->stop([&] { is_empty = true; });
    for (int i = 0; i < 100'000 && !is_empty; ++i) turn(1);
    bool is_stopped = false;
    target_->stop([&] { is_stopped = true; });
    for (int i = 0; i < 100'000 && !is_stopped; ++i) turn(1);
    WEFT_ASSERT(is_empty && is_stopped);
    acceptor_.reset();
    target_.reset();
    for (Poller* poller : std::initializer_list<Poller*>{&client_, &server_, &net_}) reactor.remove(*poller);
  }

  /// A new association, with a workload that has begun.
  void connect(uint64_t seed, const WorkloadOptions& options = {}) {
    host::ConnectOptions connect{.endpoint = {.host = address_.host, .port = address_.port}, .subnqn = kNqn, .io_queues = 2, .queue_entries = 32};
    connect.host.nqn = "nqn.2026-01.test:host";
    connect.host.id.bytes[0] = 1;
    controller = std::make_unique<host::Controller>(reactor, transport_, connect);
    auto task = controller->connect();
    task.start({});
    for (int i = 0; i < 100'000 && !task.is_done(); ++i) turn(1);
    WEFT_ASSERT(task.is_done());
    WEFT_ASSERT(task.take().has_value());
    Volume* const volumes[] = {&volume};
    workload = std::make_unique<Workload>(reactor, *controller, Prng{seed}, options, volumes, referee, trace);
    workload->start();
  }
  void disconnect() {
    controller.reset();
    workload.reset();
  }
  void turn(int cycles) {
    for (int i = 0; i < cycles; ++i) {
      reactor.run_once();
      clock.advance(microseconds(20));
    }
  }
  /// Until so many commands are done, or something is found.
  void run(uint64_t commands) {
    const uint64_t until = workload->tally().commands + commands;
    for (int i = 0; i < 10'000'000 && workload->tally().commands < until && !referee.finding() && !workload->is_lost(); ++i) turn(1);
  }
  /// Reads every block that was named.
  void read_back() {
    for (int i = 0; i < 1'000'000 && !workload->read_back() && !referee.finding() && !workload->is_lost(); ++i) turn(1);
  }
  /// Stops the workload and waits until nothing is outstanding.
  bool drain() {
    workload->stop();
    for (int i = 0; i < 1'000'000 && !workload->is_idle(); ++i) turn(1);
    return workload->is_idle();
  }
  std::string found() const { return referee.finding() ? referee.finding()->checker + ": " + referee.finding()->what : ""; }

  weft::testing_support::ManualClock clock;
  weft::testing_support::NullSink sink;
  weft::testing_support::HeapMemory memory;
  Reactor reactor{{}, clock, sink};
  Referee referee;
  Trace trace{Trace::Print::kNo};
  Volume volume;
  std::unique_ptr<host::Controller> controller;
  std::unique_ptr<Workload> workload;

 private:
  static Limits limits() {
    Limits limits;
    limits.slots_per_reactor = 4096;
    limits.admin_share_bytes = limits.in_capsule_share_bytes = limits.transfer_share_bytes = limits.read_share_bytes = 4 << 20;
    limits.scratch_share_bytes = limits.fused_share_bytes = 1 << 20;
    limits.data_transfer_bytes = 256 << 10;
    return limits;
  }
  static net::Sockets::Options sockets() {
    return {.receive_bytes = 65536,
            .send_iovecs = 64,
            .partial_bytes = std::max(tcp::Connection::kPartialMax, host::TcpConnection::kPartialMax),
            .stalled_send = seconds(30)};
  }

  net::MemoryNet net_;
  net::Sockets server_;
  net::Sockets client_;
  host::TcpTransport<net::MemoryNet> transport_{net_, client_};
  std::unique_ptr<nvmf::Target> target_;
  std::unique_ptr<tcp::Acceptor<net::MemoryNet>> acceptor_;
  net::Address address_;
};

}  // namespace weft::sim::testing_support
