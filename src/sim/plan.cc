#include "sim/plan.h"

#include "base/prng.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr uint32_t kHostAdminEntries = 32;  // what our host asks for

class Drawing {
 public:
  Drawing(uint64_t seed, const Scenario& scenario) : random_(seed), nvme_random_(seed ^ 0x4e56), fabric_random_(seed ^ 0x5d3a), scenario_(scenario) { plan_.seed = seed; }

  Plan draw() {
    const size_t targets = scenario_.targets.value_or(1 + (one_in(4) ? random_.below(3) : 0));
    for (size_t i = 0; i < targets; ++i) plan_.targets.push_back(draw_target(i));
    const size_t hosts = scenario_.hosts.value_or(1 + random_.below(4));
    for (size_t i = 0; i < hosts; ++i) plan_.hosts.push_back(draw_host());
    draw_fabrics();
    if (scenario_.hostile_limits.value_or(one_in(2))) {
      for (size_t i = 0; i < targets; ++i) draw_limits(i);
    }
    for (size_t i = 0; i < targets; ++i) fit_receives(i);
    draw_faults();
    return std::move(plan_);
  }

 private:
  bool one_in(uint64_t n) { return random_.one_in(n); }
  uint64_t between(uint64_t low, uint64_t high) { return low + random_.below(high - low + 1); }
  /// Small mostly, seldom large: in [1, high].
  uint64_t small(uint64_t high) { return 1 + random_.below(1 + random_.below(high)); }

  TargetPlan draw_target(size_t index) {
    TargetPlan target{.reactors = scenario_.reactors.value_or(between(1, 4))};
    Limits& limits = target.limits;
    // What the machine of a test holds of it; shares far below the sum of what hosts may ask for.
    limits.slots_per_reactor = 8192;
    for (uint32_t Limits::* share :
         {&Limits::admin_share_bytes, &Limits::in_capsule_share_bytes, &Limits::transfer_share_bytes,
          &Limits::read_share_bytes, &Limits::scratch_share_bytes, &Limits::fused_share_bytes}) {
      limits.*share = 2 << 20;
    }
    limits.receive_buffer_bytes = uint32_t(16384 << random_.below(5));
    // Faults last for seconds of virtual time; time-outs must come in between.
    limits.handshake_ms = 1000;
    limits.r2t_ms = limits.stalled_send_ms = limits.termination_ms = uint32_t(between(500, 3000));
    limits.io_timeout_ms = uint32_t(between(300, 3000));
    limits.rdma_drain_ms = limits.rdma_linger_ms = 500;
    limits.association_ms = 2000;
    limits.shutdown_ms = uint32_t(between(100, one_in(8) ? 8000 : 2000));
    limits.old_association_ms = uint32_t(between(300, 6000));
    limits.removal_ms = uint32_t(between(100, 3000));
    const size_t subsystems = one_in(3) ? 2 : 1;
    for (size_t i = 0; i < subsystems; ++i) {
      SubsystemPlan subsystem{.nqn = fmt::format("nqn.2026-01.sim.weft:target-{}-subsystem-{}", index, i)};
      const size_t namespaces = scenario_.namespaces.value_or(one_in(8) ? between(1, 64) : small(6));
      for (size_t n = 0; n < namespaces; ++n) subsystem.namespaces.push_back(draw_namespace(namespaces));
      subsystem.namespaces.front().is_there_at_start = true;
      target.subsystems.push_back(std::move(subsystem));
    }
    return target;
  }

  NamespacePlan draw_namespace(size_t of) {
    NamespacePlan ns;
    // Many disks cost much memory: each has bounce buffers on every reactor.
    const bool is_disk = scenario_.medium ? *scenario_.medium != "ram" : one_in(of > 8 ? 16 : 2);
    const bool is_delayed = one_in(6);
    ns.medium = is_disk ? (is_delayed ? MediumKind::kDelayedDisk : MediumKind::kDisk)
                        : (is_delayed ? MediumKind::kDelayedRam : MediumKind::kRam);
    if (ns.medium == MediumKind::kDisk && is_nvme()) ns.medium = MediumKind::kNvme;
    ns.block_bytes = one_in(2) ? 4096 : 512;
    ns.blocks = between(64, 2048);
    ns.has_volatile_cache = !one_in(4);
    ns.is_there_at_start = !one_in(6);
    return ns;
  }

  bool is_nvme() { return scenario_.medium == "nvme" || (!scenario_.medium && nvme_random_.one_in(3)); }

  HostPlan draw_host() {
    HostPlan host;
    const size_t associations = one_in(3) ? 2 : 1;
    for (size_t i = 0; i < associations; ++i) {
      AssociationPlan one{.target = random_.below(plan_.targets.size())};
      one.subsystem = random_.below(plan_.targets[one.target].subsystems.size());
      // A host has one association with a subsystem: a second one would take the place of the first (base
      // specification, Connect).
      const bool is_twice = std::ranges::any_of(host.associations, [&](const AssociationPlan& other) {
        return other.target == one.target && other.subsystem == one.subsystem;
      });
      if (is_twice) continue;
      one.io_queues = scenario_.io_queues.value_or(uint16_t(small(4)));
      one.queue_depth = scenario_.queue_depth.value_or(uint32_t(small(one_in(4) ? 128 : 16)));
      one.queue_entries = uint16_t(std::max<uint32_t>(2, one.queue_depth + uint32_t(random_.below(4))));
      const bool has_digests = scenario_.digests.value_or(one_in(2));
      one.digests = {.header = has_digests || one_in(6), .data = has_digests || one_in(6)};
      one.has_flow_control = one_in(2);
      one.keep_alive = milliseconds(int64_t(between(1, 4)) * 1000);
      host.associations.push_back(one);
    }
    return host;
  }

  /// Of three worlds one has TCP alone, one RDMA alone, and one both, drawn for each association.
  void draw_fabrics() {
    constexpr std::array kKinds{"tcp", "rdma", "both"};
    const std::string kind = scenario_.fabric.value_or(kKinds[fabric_random_.below(kKinds.size())]);
    if (kind == "tcp") return;
    for (HostPlan& host : plan_.hosts) {
      host.has_windows = fabric_random_.one_in(3);
      host.descriptors = fabric_random_.one_in(3) ? uint16_t(2 + fabric_random_.below(15)) : 1;
      for (AssociationPlan& one : host.associations) {
        if (kind == "both" && fabric_random_.one_in(2)) continue;
        one.fabric = FabricKind::kRdma;
        one.digests = {};
      }
    }
  }

  /// A receive costs memory that is touched; the default is for thousands of hosts. Twice: as in draw_limits().
  void fit_receives(size_t index) { plan_.targets[index].limits.rdma_receives = 2 * needs_of(index).slots + 64; }

  bool has_rdma() const {
    return std::ranges::any_of(plan_.hosts, [](const HostPlan& host) {
      return std::ranges::any_of(host.associations, [](const AssociationPlan& one) { return one.fabric == FabricKind::kRdma; });
    });
  }

  /// What the hosts of this world need of a target, if nothing goes wrong.
  struct Needs {
    uint32_t queues = 0, controllers = 0, slots = 0;
  };
  Needs needs_of(size_t index) const {
    Needs needs;
    for (const HostPlan& host : plan_.hosts) {
      for (const AssociationPlan& one : host.associations) {
        if (one.target != index) continue;
        needs.queues += 1 + one.io_queues;
        ++needs.controllers;
        needs.slots += kHostAdminEntries + uint32_t(one.io_queues) * one.queue_entries;
      }
    }
    return needs;
  }

  /// Each limit may take its hostile value, but none below what this world's hosts need to be served at all.
  void draw_limits(size_t index) {
    const auto [queues, controllers, slots] = needs_of(index);
    TargetPlan& target = plan_.targets[index];
    Limits& limits = target.limits;
    for (const LimitRow& row : kLimitTable) {
      if (std::string_view{row.name}.starts_with("rdma_")) continue;  // the hosts of these worlds speak TCP
      if (one_in(8)) limits.*row.value = row.hostile;
    }
    const auto at_least = [&](uint32_t Limits::* limit, uint32_t needed) {
      limits.*limit = std::max(limits.*limit, needed);
    };
    // Twice: a lost association and the one that takes its place live side by side for a while.
    at_least(&Limits::connections, 2 * queues + 8);
    at_least(&Limits::connections_per_peer, 2 * queues + 8);
    at_least(&Limits::controllers, 2 * controllers + 2);
    at_least(&Limits::slots_per_reactor, 2 * slots + 256);
    at_least(&Limits::namespaces, 64);
    at_least(&Limits::rdma_completions, 8 * slots + 128 * queues + 512);
    at_least(&Limits::handshake_ms, 300);  // a connection that is held back for a moment must still get through
    at_least(&Limits::stalled_send_ms, 300);
    at_least(&Limits::r2t_ms, 300);
    at_least(&Limits::io_timeout_ms, 300);
  }

  void draw_faults() {
    FaultPlan& faults = plan_.faults;
    faults.duration = milliseconds(scenario_.duration_ms.value_or(int64_t(between(500, one_in(8) ? 10'000 : 4000))));
    faults.pause = milliseconds(int64_t(between(20, 600)));
    if (scenario_.faults) {
      faults.kinds = *scenario_.faults;
    } else if (!one_in(10)) {
      // Some kinds, each run others: with all at once hosts would hardly ever get to work.
      for (const FaultName& fault : kFaultNames) {
        if (fault.kind >= FaultKind::kRdmaRemoval) {
          if (has_rdma() && fabric_random_.one_in(3)) faults.kinds.push_back(fault.kind);
        } else if (one_in(4)) {
          faults.kinds.push_back(fault.kind);
        }
      }
    }
    NetworkOptions& network = faults.network;
    network.latency = microseconds(int64_t(between(1, one_in(4) ? 2000 : 50)));
    network.jitter = microseconds(int64_t(between(1, one_in(4) ? 2000 : 50)));
    network.capacity = one_in(12) ? between(200, 1000) : one_in(3) ? between(1, 64) << 10 : 256 << 10;
    if (!scenario_.rough_network.value_or(one_in(2))) return;
    if (one_in(2)) network.one_byte_one_in = between(2, 40);
    if (one_in(2)) network.short_send_one_in = between(1, 20);
    if (one_in(2)) network.corrupt_one_in = between(20, 2000);
  }

  Prng random_;
  Prng nvme_random_;    // its own, as the next one
  Prng fabric_random_;  // its own, so that a world over TCP is the same with and without it
  const Scenario& scenario_;
  Plan plan_;
};

}  // namespace

Plan draw_plan(uint64_t seed, const Scenario& scenario) { return Drawing{seed, scenario}.draw(); }

}  // namespace weft::sim
