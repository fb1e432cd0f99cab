// The network between the simulated machines: connections of two directions each, with latencies, bounded capacity and
// faults. Belongs to the world and outlives the processes; each process has a Net (net.h) as its side of it. TCP's
// promises are kept whatever happens: bytes arrive in order, once, and unchanged but for the corruption that is asked
// for, or the connection is gone.
#pragma once
#include "base/prng.h"
#include "net/stream.h"
#include "sim/agenda.h"
#include "sim/trace.h"
#include "sim/wire_tap.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace weft::sim {

class Net;
class Connection;
struct Handle;

/// How the network treats bytes.
struct NetworkOptions {
  Duration latency = microseconds(20);  // one way, at least
  Duration jitter = microseconds(30);   // drawn on top
  size_t capacity = 256 << 10;          // bytes that one direction holds, sent and not yet received
  uint64_t one_byte_one_in = 0;         // so many receives give one byte only; 0: none
  uint64_t short_send_one_in = 0;       // so many sends take a part only; 0: none
  uint64_t corrupt_one_in = 0;          // so many sends under digests have a bit turned on the way; 0: none
};

/// How one end of a connection goes.
enum class Ending : uint8_t { kFinish, kReset };

class Network {
 public:
  static constexpr size_t kSlowPieceBytes = 1024;  // what a slow link lets through at once
  /// Outlives: agenda, trace and taps outlive the network.
  Network(Agenda& agenda, uint64_t seed, Trace& trace, WireTaps& taps)
      : agenda_(agenda), random_(seed), trace_(trace), taps_(taps) {}
  ~Network();

  void set_options(const NetworkOptions& options) { options_ = options; }
  const NetworkOptions& options() const { return options_; }

  // --- faults
  // ---------------------------------------------------------------------------------------------------------------------------
  /// Nothing that machine `from` sends reaches machine `to` until release(); it is not lost, as TCP would send it
  /// again. Both ways: a partition.
  void hold(size_t from, size_t to);
  void release(size_t from, size_t to);
  /// Machine `to` takes nothing of machine `from` until unblock(): no send of `from` takes a byte.
  void block(size_t from, size_t to);
  void unblock(size_t from, size_t to);
  /// Everything goes everywhere again, at the network's speed.
  void release_all();
  /// What `from` sends to `to` arrives in small pieces with such a pause between any two of a connection, from now until hasten().
  void slow_down(size_t from, size_t to, Duration pause);
  void hasten(size_t from, size_t to);
  /// Ends a drawn connection that is open, after `bytes` more bytes of a drawn direction. False when there is none.
  bool cut(Ending ending, size_t bytes);
  /// The next two machines that make one more connection lose the oldest that they have while the new one's Connect is judged.
  void ambush(Ending ending) { ambush_ = ending; }

  /// Whether nothing goes that way now. For links that carry something else than this network's connections.
  bool is_held(size_t from, size_t to) const { return holds_.contains({from, to}); }
  /// Called when all goes that way again.
  void on_release(std::function<void(size_t from, size_t to)> released) { released_ = std::move(released); }

  // --- machines
  // -------------------------------------------------------------------------------------------------------------------------
  /// The process of `machine` is gone with its sockets, and the kernel ends their connections.
  void process_died(size_t machine);
  /// The machine is without power: it says nothing, and knows no connection when it comes back.
  void power_lost(size_t machine);
  void power_returned(size_t machine);
  bool is_without_power(size_t machine) const { return without_power_.contains(machine); }

  // --- what the checkers ask
  // --------------------------------------------------------------------------------------------------------------
  /// Connections that an end still has open.
  size_t open_connections() const;
  static net::Address address_of(size_t machine, uint16_t port);
  /// Nothing when it is no address of this network.
  static std::optional<size_t> machine_of(const net::Address& address);

 private:
  friend class Net;
  friend class Listener;
  friend class Connection;

  struct Service {
    Net* net;
    net::ListenerEvents<Handle>* events;
  };
  static constexpr uint16_t kFirstPort = 49152;

  std::shared_ptr<Connection> connect(size_t from, const net::Address& address);
  /// False when the port is taken.
  bool add_service(const net::Address& address, Service service);
  void remove_service(const net::Address& address);
  Service* find_service(const net::Address& address);
  bool has_service(const net::Address& address, const net::ListenerEvents<Handle>* events) {
    const Service* service = find_service(address);
    return service != nullptr && service->events == events;
  }
  Duration delay() { return options_.latency + nanoseconds(int64_t(random_.below(uint64_t(options_.jitter.ns) + 1))); }
  /// None: the link is not slow.
  std::optional<Duration> slowness(size_t from, size_t to) const;
  bool is_blocked(size_t from, size_t to) const { return blocks_.contains({from, to}); }
  /// The first command of a connection has come.
  void spring_ambush(const Connection& newest);
  void resume_between(size_t from, size_t to);
  void forget_machine(size_t machine, bool is_silent);
  void forget_finished();

  Agenda& agenda_;
  Prng random_;
  Trace& trace_;
  WireTaps& taps_;
  NetworkOptions options_;
  std::map<std::pair<size_t, uint16_t>, Service> services_;  // by machine and port
  std::set<std::pair<size_t, size_t>> holds_;
  std::set<std::pair<size_t, size_t>> blocks_;
  std::map<std::pair<size_t, size_t>, Duration> slow_links_;
  std::optional<Ending> ambush_;
  std::set<size_t> without_power_;
  std::function<void(size_t, size_t)> released_;
  std::vector<std::shared_ptr<Connection>> connections_;  // open at an end, in the order of their making
  uint64_t connection_count_ = 0;
  uint16_t next_port_ = kFirstPort;
};

}  // namespace weft::sim
