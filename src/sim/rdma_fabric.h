// RDMA between the simulated machines: one device on each, and the same links as the network's, with their latencies and holds. What a reliable
// connection is (order, keys, flushes, the connection manager) is verbs/memory_fabric.h's; this says when each thing happens, and what goes wrong.
// Belongs to the world and outlives the processes; each reactor has a verbs::MemoryVerbs as its side of it.
#pragma once
#include "base/prng.h"
#include "sim/agenda.h"
#include "sim/network.h"
#include "sim/referee.h"
#include "sim/trace.h"
#include "verbs/memory_fabric.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

namespace weft::sim {

/// How devices and their links behave, beside the network's latency.
struct RdmaOptions {
  uint64_t request_lost_one_in = 0;  // so many connection requests never arrive; 0: none
  uint64_t drain_silent_one_in = 0;  // so many queue pairs are never said to have drained; 0: none
};

/// Makes a tap for each connection.
class RdmaTaps {
 public:
  virtual std::shared_ptr<verbs::MemoryTap> accepted(size_t host_machine, size_t target_machine, const verbs::MemoryConnection& connection) = 0;

 protected:
  ~RdmaTaps() = default;
};

class RdmaFabric final : public verbs::MemoryFabric {
 public:
  struct World {
    Agenda& agenda;
    Trace& trace;
    Referee& referee;
    Network& network;
    RdmaTaps* taps = nullptr;  // null: nobody looks
  };
  /// How long what is sent may stay unanswered before its device gives it up, and a connection request too.
  static constexpr Duration kRetriesEnd = seconds(2);

  /// Outlives: the parts of `world` outlive the fabric.
  RdmaFabric(const World& world, uint64_t seed);

  void set_options(const RdmaOptions& options) { options_ = options; }
  /// Gives up what was sent too long ago. To be called every 50 ms or so.
  void check();

  // --- faults
  /// Ends a drawn connection. False when there is none.
  bool cut();
  /// The machine's device is gone with all that was on it, until another one takes its place.
  void remove_device(size_t machine);
  void restore_device(size_t machine);
  /// Nothing goes out of the machine's port, or in, until it is up again.
  void take_port_down(size_t machine);
  void take_port_up(size_t machine);
  /// The machine's connections end, without a word to the other ends.
  void change_address(size_t machine);
  /// Every machine has a device, and every port is up.
  void restore_all();
  /// The process of `machine` is gone, and the kernel ends its connections.
  void process_died(size_t machine);
  /// The machine is without power: it says nothing any more.
  void power_lost(size_t machine);

  // --- what the checkers ask
  /// Whether the target does not know yet that the host has lost a connection.
  bool is_unaware(size_t target_machine, size_t host_machine) const { return is_half_open(target_machine, host_machine); }
  size_t open_connections() const { return open_pairs(); }
  size_t devices_in_use() const { return open_domains(); }

 private:
  using LaneKey = std::tuple<size_t, size_t, uint32_t>;  // from, to, lane
  struct Lane {
    Instant last_arrival{};
    std::deque<Action> held;
  };

  // verbs::MemoryFabric
  void carry(const verbs::MemoryLeg& leg, Action arrive) override;
  void soon(size_t machine, Action action) override;
  void control(size_t machine, Action action) override;
  void not_ready(size_t sender, size_t receiver, Action again) override;
  void drained(size_t machine, Action tell) override;
  const verbs::Device* device_of(size_t machine) override;
  size_t machine_of(const net::Address& address) const override;
  net::Address address_of(size_t machine) const override;
  Instant now() const override { return world_.agenda.now(); }
  std::shared_ptr<verbs::MemoryTap> tap(size_t client, size_t server, const verbs::MemoryConnection& connection) override;
  void broken(const std::string& what) override { world_.referee.fail("buffer-ownership", what); }
  void refused(const std::string& what) override { world_.referee.fail("memory-keys", what); }

  void schedule(const LaneKey& key, Action arrive);
  bool is_held(size_t from, size_t to) const;
  void release_what_may_go();
  void add_device(size_t machine);
  Duration latency();
  Duration between(Duration least, Duration most);

  World world_;
  Prng random_;
  RdmaOptions options_;
  std::map<LaneKey, Lane> lanes_;
  std::set<size_t> ports_down_;  // machines
  std::map<size_t, Instant> control_free_;  // by machine: when its control thread has done all that it was asked for
  std::map<size_t, std::vector<std::unique_ptr<verbs::Device>>> devices_;  // by machine: all that it ever had; null: it has none now
};

}  // namespace weft::sim
