#include "sim/rdma_fabric.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr uint16_t kHostPort = 49152;  // of all that connect: nobody looks at it

}  // namespace

RdmaFabric::RdmaFabric(const World& world, uint64_t seed) : world_(world), random_(seed) {
  world.network.on_release([this](size_t, size_t) { release_what_may_go(); });
}

Duration RdmaFabric::between(Duration least, Duration most) {
  return least + nanoseconds(int64_t(random_.below(uint64_t((most - least).ns) + 1)));
}

Duration RdmaFabric::latency() {
  const NetworkOptions& options = world_.network.options();
  return between(options.latency, options.latency + options.jitter);
}

// --- when things happen ---------------------------------------------------------------------------------------------

void RdmaFabric::carry(const verbs::MemoryLeg& leg, Action arrive) {
  if (world_.network.is_without_power(leg.from)) return;
  const uint64_t lost_one_in = leg.kind == verbs::MemoryLeg::Kind::kRequest ? options_.request_lost_one_in : 0;
  if (lost_one_in > 0 && random_.one_in(lost_one_in)) return world_.trace.note(now(), "rdma: a request of {} is lost", leg.from);
  const LaneKey key{leg.from, leg.to, leg.lane};
  if (is_held(leg.from, leg.to)) return lanes_[key].held.push_back(std::move(arrive));
  schedule(key, std::move(arrive));
}

void RdmaFabric::schedule(const LaneKey& key, Action arrive) {
  Instant when = now() + latency();
  if (const auto [from, to, lane] = key; lane != 0) {
    // Never two at one instant: those would arrive in a drawn order.
    Instant& last = lanes_[key].last_arrival;
    when = last = std::max(last + nanoseconds(1), when);
  }
  world_.agenda.at(when, [this, to = std::get<1>(key), arrive = std::move(arrive)]() mutable {
    if (!world_.network.is_without_power(to)) arrive();
  });
}

bool RdmaFabric::is_held(size_t from, size_t to) const {
  return world_.network.is_held(from, to) || ports_down_.contains(from) || ports_down_.contains(to);
}

void RdmaFabric::release_what_may_go() {
  for (auto& [key, lane] : lanes_) {
    if (is_held(std::get<0>(key), std::get<1>(key))) continue;
    for (Action& arrive : std::exchange(lane.held, {})) schedule(key, std::move(arrive));
  }
}

/// A device takes up what it was given in well under a microsecond, mostly.
void RdmaFabric::soon(size_t, Action action) {
  world_.agenda.after(random_.one_in(64) ? between(microseconds(1), microseconds(50)) : between(nanoseconds(50), nanoseconds(800)), std::move(action));
}

/// One thread for each machine, which blocks now and then.
void RdmaFabric::control(size_t machine, Action action) {
  Instant& free = control_free_[machine];
  free = std::max(free, now()) + (random_.one_in(32) ? between(milliseconds(1), milliseconds(20)) : between(microseconds(2), microseconds(200)));
  world_.agenda.at(free, std::move(action));
}

void RdmaFabric::not_ready(size_t sender, size_t receiver, Action again) {
  world_.referee.fail("receive-room", fmt::format("machine {} has no receive for a message of machine {}, which may send it", receiver, sender));
  world_.agenda.after(between(microseconds(10), microseconds(640)), std::move(again));
}

void RdmaFabric::drained(size_t machine, Action tell) {
  if (options_.drain_silent_one_in > 0 && random_.one_in(options_.drain_silent_one_in)) return;
  if (device_of(machine) == nullptr && random_.one_in(2)) return;  // who should say it is gone
  world_.agenda.after(between(microseconds(1), milliseconds(2)), std::move(tell));
}

// --- machines -------------------------------------------------------------------------------------------------------

const verbs::Device* RdmaFabric::device_of(size_t machine) {
  if (!devices_.contains(machine)) add_device(machine);
  return devices_[machine].back().get();
}

void RdmaFabric::add_device(size_t machine) {
  auto& devices = devices_[machine];
  constexpr std::array kLinks{verbs::LinkKind::kInfiniband, verbs::LinkKind::kRoce, verbs::LinkKind::kIwarp};
  devices.push_back(std::make_unique<verbs::Device>(verbs::Device{.name = fmt::format("rdma{}.{}", machine, devices.size()),
                                                                  .link = kLinks[random_.below(kLinks.size())],
                                                                  .message_bytes_max = random_.one_in(4) ? uint64_t{32} << 10 : uint64_t{1} << 30,
                                                                  .initiated_reads_max = uint16_t(1 + random_.below(16)),
                                                                  .answered_reads_max = uint16_t(1 + random_.below(16)),
                                                                  .can_invalidate_remotely = random_.one_in(2),
                                                                  .has_windows = true}));
}

size_t RdmaFabric::machine_of(const net::Address& address) const { return *Network::machine_of(address); }
net::Address RdmaFabric::address_of(size_t machine) const { return Network::address_of(machine, kHostPort); }

std::shared_ptr<verbs::MemoryTap> RdmaFabric::tap(size_t client, size_t server, const verbs::MemoryConnection& connection) {
  world_.trace.note(now(), "rdma: machine {} accepts a connection of machine {}, {} READs", server, client, connection.server_reads);
  return world_.taps == nullptr ? nullptr : world_.taps->accepted(client, server, connection);
}

// --- what goes wrong ------------------------------------------------------------------------------------------------

void RdmaFabric::check() { give_up({now().ns - kRetriesEnd.ns}); }

bool RdmaFabric::cut() {
  const auto candidates = connected();
  if (candidates.empty()) return false;
  const uint32_t chosen = candidates[random_.below(candidates.size())];
  world_.trace.note(now(), "rdma: a connection of machine {} is cut", machine_of_pair(chosen));
  break_pair(chosen);
  return true;
}

void RdmaFabric::remove_device(size_t machine) {
  if (device_of(machine) == nullptr) return;
  world_.trace.note(now(), "rdma: the device of machine {} is gone", machine);
  devices_[machine].push_back(nullptr);
  remove_device_of(machine);
}

void RdmaFabric::restore_device(size_t machine) {
  if (device_of(machine) != nullptr) return;
  world_.trace.note(now(), "rdma: machine {} has a device again", machine);
  add_device(machine);
}

void RdmaFabric::take_port_down(size_t machine) {
  if (ports_down_.insert(machine).second) world_.trace.note(now(), "rdma: the port of machine {} is down", machine);
}

void RdmaFabric::take_port_up(size_t machine) {
  if (ports_down_.erase(machine) == 0) return;
  world_.trace.note(now(), "rdma: the port of machine {} is up", machine);
  release_what_may_go();
}

void RdmaFabric::change_address(size_t machine) {
  world_.trace.note(now(), "rdma: the address of machine {} moves", machine);
  drop_pairs_of(machine);
}

void RdmaFabric::restore_all() {
  std::vector<size_t> machines;
  for (const auto& [machine, devices] : devices_) machines.push_back(machine);
  for (const size_t machine : machines) restore_device(machine);
  ports_down_.clear();
  release_what_may_go();
}

void RdmaFabric::process_died(size_t machine) { forget(machine, Death::kTold); }
void RdmaFabric::power_lost(size_t machine) { forget(machine, Death::kSilent); }

}  // namespace weft::sim
