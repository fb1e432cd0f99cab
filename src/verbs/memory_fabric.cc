#include "verbs/memory_fabric.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/assert.h"
#include "verbs/memory_verbs.h"

namespace weft::verbs {

MemoryFabric::MemoryFabric() = default;
MemoryFabric::~MemoryFabric() = default;

// --- time and place: none -----------------------------------------------------------------------------------------------------------------------

void MemoryFabric::carry(const MemoryLeg&, Action arrive) {
  if (!is_silent) actions_.push_back(std::move(arrive));
}
void MemoryFabric::soon(size_t, Action action) { actions_.push_back(std::move(action)); }
void MemoryFabric::control(size_t, Action action) { actions_.push_back(std::move(action)); }
void MemoryFabric::not_ready(size_t, size_t, Action again) { retries_.push_back(std::move(again)); }
void MemoryFabric::drained(size_t, Action tell) { actions_.push_back(std::move(tell)); }
const Device* MemoryFabric::device_of(size_t) { return is_removed_ ? nullptr : &device; }
size_t MemoryFabric::machine_of(const net::Address&) const { return 0; }
net::Address MemoryFabric::address_of(size_t) const { return {"127.0.0.2", 1, false}; }

void MemoryFabric::broken(const std::string& what) {
  std::fprintf(stderr, "verbs: %s\n", what.c_str());
  WEFT_ASSERT(false && "the contract of the verbs is broken");
}

/// What was not ready is tried once: it is no work to wait for it.
size_t MemoryFabric::pump() {
  for (Action& again : std::exchange(retries_, {})) again();
  size_t done = 0;
  for (; !actions_.empty(); ++done) {
    auto action = std::move(actions_.front());
    actions_.pop_front();
    action();
  }
  return done;
}

// --- the connection manager ---------------------------------------------------------------------------------------------------------------------

MemoryQueuePair* MemoryFabric::find(uint32_t number) const {
  const auto found = pairs_.find(number);
  return found == pairs_.end() ? nullptr : found->second;
}

MemoryDomain* MemoryFabric::find_domain(uint64_t id) const {
  const auto found = domains_.find(id);
  return found == domains_.end() ? nullptr : found->second;
}

void MemoryFabric::request(const std::shared_ptr<MemoryCall>& call) {
  carry({call->client_machine, call->server_machine, 0, MemoryLeg::Kind::kRequest}, [this, call] {
    const auto found = listeners_.find({call->server_machine, call->route.to.port});
    const Device* at = device_of(call->server_machine);
    if (found == listeners_.end() || at == nullptr) {
      return carry({call->server_machine, call->client_machine, 0}, [this, client = call->client] {
        if (MemoryQueuePair* pair = find(client)) pair->end(Ending::Kind::kUnreachable, ECONNREFUSED, {});
      });
    }
    MemoryVerbs& verbs = found->second->verbs_;
    verbs.post([this, call, at] {
      MemoryHandle handle{MemoryHandle::Kind::kRequest, call};
      const auto listener = listeners_.find({call->server_machine, call->route.to.port});
      if (listener == listeners_.end()) return;  // rejects
      const RequestInfo info{.device = *at,
                             .private_data = call->private_data,
                             .initiator_depth = call->answered_reads,
                             .responder_resources = 0,
                             .local = listener->second->address(),
                             .peer = call->route.from.empty() ? address_of(call->client_machine) : net::Address{call->route.from, 1, false}};
      listener->second->events_.on_request(std::move(handle), info);
    });
  });
}

void MemoryFabric::reject(const MemoryCall& call, std::vector<std::byte> private_data) {
  carry({call.server_machine, call.client_machine, 0}, [this, client = call.client, data = std::move(private_data)]() mutable {
    MemoryQueuePair* pair = find(client);
    if (pair != nullptr && pair->state_ == MemoryQueuePair::State::kConnecting) pair->end(Ending::Kind::kRejected, 0, std::move(data));
  });
}

void MemoryFabric::release_established() {
  is_establishment_held = false;
  for (const uint32_t number : std::exchange(unestablished_, {})) {
    if (MemoryQueuePair* pair = find(number)) pair->established();
  }
}

// --- what goes wrong ----------------------------------------------------------------------------------------------------------------------------

std::vector<uint32_t> MemoryFabric::connected() const {
  std::vector<uint32_t> numbers;
  for (const auto& [number, pair] : pairs_) {
    if (pair->state_ == MemoryQueuePair::State::kConnected) numbers.push_back(number);
  }
  return numbers;
}

size_t MemoryFabric::machine_of_pair(uint32_t number) const { return find(number)->verbs_.machine_; }

bool MemoryFabric::is_half_open(size_t server, size_t client) const {
  const auto is_lost = [&](const MemoryQueuePair& pair) {
    if (pair.verbs_.machine_ != server || pair.state_ != MemoryQueuePair::State::kConnected || pair.peer_machine_ != client) return false;
    const MemoryQueuePair* peer = find(pair.peer_);
    return peer == nullptr || peer->state_ != MemoryQueuePair::State::kConnected;
  };
  return std::ranges::any_of(pairs_, [&](const auto& entry) { return is_lost(*entry.second); });
}

void MemoryFabric::break_pair(uint32_t number) {
  MemoryQueuePair* pair = find(number);
  if (pair == nullptr) return;
  pair->tell_peer();
  pair->end(Ending::Kind::kDisconnected, 0, {});
}

size_t MemoryFabric::disconnect_all() {
  const auto numbers = connected();
  for (const uint32_t number : numbers) find(number)->end(Ending::Kind::kDisconnected, 0, {});
  return numbers.size();
}

void MemoryFabric::remove_device() {
  is_removed_ = true;
  remove_device_of(0);
}

void MemoryFabric::remove_device_of(size_t machine) {
  const auto pairs = pairs_;
  for (const auto& [number, pair] : pairs) {
    if (pair->verbs_.machine_ == machine) pair->end(Ending::Kind::kRemoved, ENODEV, {});
  }
  for (const auto& [id, domain] : domains_) {
    if (domain->verbs_.machine_ == machine) domain->removed();
  }
}

void MemoryFabric::drop_pairs_of(size_t machine) {
  for (const uint32_t number : connected()) {
    if (machine_of_pair(number) == machine) find(number)->end(Ending::Kind::kDisconnected, 0, {});
  }
}

void MemoryFabric::forget(size_t machine, Death death) {
  const auto pairs = pairs_;
  for (const auto& [number, pair] : pairs) {
    if (pair->verbs_.machine_ != machine) continue;
    if (death == Death::kTold) pair->tell_peer();
    pair->tap_ended();
    keys_.remove_pair(number);
    pairs_.erase(number);
  }
  const auto domains = domains_;
  for (const auto& [id, domain] : domains) {
    if (domain->verbs_.machine_ != machine) continue;
    keys_.remove_domain(id);
    domains_.erase(id);
  }
  std::erase_if(listeners_, [machine](const auto& listener) { return listener.first.first == machine; });
  std::erase_if(verbs_, [machine](const auto& verbs) { return verbs.second->machine_ == machine; });
}

void MemoryFabric::give_up(Instant since) {
  const auto pairs = pairs_;
  for (const auto& [number, pair] : pairs) pair->give_up(since);
}

}  // namespace weft::verbs
