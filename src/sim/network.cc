#include "sim/network.h"

#include "base/assert.h"
#include "sim/net.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {

Network::~Network() = default;

net::Address Network::address_of(size_t machine, uint16_t port) {
  return {.host = fmt::format("10.0.0.{}", machine + 1), .port = port};
}

std::optional<size_t> Network::machine_of(const net::Address& address) {
  constexpr std::string_view kPrefix = "10.0.0.";
  if (!address.host.starts_with(kPrefix)) return std::nullopt;
  return size_t(std::stoul(address.host.substr(kPrefix.size()))) - 1;
}

std::shared_ptr<Connection> Network::connect(size_t from, const net::Address& address) {
  forget_finished();
  const auto to = machine_of(address);
  WEFT_ASSERT(to.has_value());  // hosts are told the addresses of this network
  auto connection =
      std::make_shared<Connection>(*this, ++connection_count_, from, address_of(from, next_port_), *to, address);
  if (++next_port_ == 0) next_port_ = kFirstPort;
  connections_.push_back(connection);
  connection->request();
  return connection;
}

bool Network::add_service(const net::Address& address, Service service) {
  return services_.emplace(std::pair{*machine_of(address), address.port}, service).second;
}

void Network::remove_service(const net::Address& address) { services_.erase({*machine_of(address), address.port}); }

Network::Service* Network::find_service(const net::Address& address) {
  const auto found = services_.find({*machine_of(address), address.port});
  return found == services_.end() ? nullptr : &found->second;
}

void Network::hold(size_t from, size_t to) {
  if (holds_.insert({from, to}).second) trace_.note(agenda_.now(), "net: nothing goes from {} to {}", from, to);
}

void Network::release(size_t from, size_t to) {
  if (holds_.erase({from, to}) == 0) return;
  trace_.note(agenda_.now(), "net: all goes from {} to {} again", from, to);
  resume_between(from, to);
  if (released_) released_(from, to);
}

void Network::block(size_t from, size_t to) {
  if (blocks_.insert({from, to}).second) trace_.note(agenda_.now(), "net: {} takes nothing of {}", to, from);
}

void Network::unblock(size_t from, size_t to) {
  if (blocks_.erase({from, to}) == 0) return;
  trace_.note(agenda_.now(), "net: {} takes all of {} again", to, from);
  resume_between(from, to);
}

void Network::resume_between(size_t from, size_t to) {
  const auto connections =
      connections_;  // resuming wakes reactors, which changes no list, but that is not ours to know
  for (const auto& connection : connections) {
    for (const Side side : {Side::kHost, Side::kTarget}) {
      if (connection->machine(side) == from && connection->machine(other(side)) == to) connection->resume(side);
    }
  }
}

void Network::release_all() {
  const auto holds = holds_;
  for (const auto& [from, to] : holds) release(from, to);
  const auto blocks = blocks_;
  for (const auto& [from, to] : blocks) unblock(from, to);
  ambush_.reset();
  slow_links_.clear();
}

void Network::slow_down(size_t from, size_t to, Duration pause) {
  slow_links_[{from, to}] = pause;
  trace_.note(agenda_.now(), "net: from {} to {} only a little at a time", from, to);
}

void Network::hasten(size_t from, size_t to) { slow_links_.erase({from, to}); }

std::optional<Duration> Network::slowness(size_t from, size_t to) const {
  const auto found = slow_links_.find({from, to});
  return found == slow_links_.end() ? std::nullopt : std::optional{found->second};
}

bool Network::cut(Ending ending, size_t bytes) {
  std::vector<Connection*> candidates;
  for (const auto& connection : connections_) {
    if (connection->is_established()) candidates.push_back(connection.get());
  }
  if (candidates.empty()) return false;
  Connection& chosen = *candidates[random_.below(candidates.size())];
  chosen.cut_after(random_.one_in(2) ? Side::kHost : Side::kTarget, bytes, ending);
  return true;
}

void Network::spring_ambush(const Connection& newest) {
  if (!ambush_) return;
  const auto oldest = std::ranges::find_if(connections_, [&](const auto& connection) {
    return connection.get() != &newest && connection->is_established() && connection->machine(Side::kHost) == newest.machine(Side::kHost) &&
           connection->machine(Side::kTarget) == newest.machine(Side::kTarget);
  });
  if (oldest == connections_.end()) return;
  const Ending ending = *std::exchange(ambush_, std::nullopt);
  constexpr uint64_t kWhileItIsJudgedNs = 10'000;
  agenda_.after(nanoseconds(int64_t(random_.below(kWhileItIsJudgedNs))), [connection = *oldest, ending] { connection->cut_now(ending); });
}

void Network::process_died(size_t machine) { forget_machine(machine, false); }

void Network::power_lost(size_t machine) {
  without_power_.insert(machine);
  forget_machine(machine, true);
}

void Network::power_returned(size_t machine) { without_power_.erase(machine); }

void Network::forget_machine(size_t machine, bool is_silent) {
  std::erase_if(services_, [&](const auto& entry) { return entry.first.first == machine; });
  for (const auto& connection : connections_) {
    for (const Side side : {Side::kHost, Side::kTarget}) {
      if (connection->machine(side) == machine) connection->forget(side, is_silent);
    }
  }
  forget_finished();
}

size_t Network::open_connections() const {
  return size_t(std::ranges::count_if(connections_, [](const auto& connection) { return !connection->is_over(); }));
}

void Network::forget_finished() {
  std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
}

}  // namespace weft::sim
