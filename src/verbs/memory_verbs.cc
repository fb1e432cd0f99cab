#include "verbs/memory_verbs.h"

#include <cerrno>

#include "base/assert.h"

namespace weft::verbs {

static_assert(Verbs<MemoryVerbs>);

// --- MemoryFabric ---------------------------------------------------------------------------------------------------------------------------

std::byte* MemoryFabric::translate(uint32_t key, uint64_t address, size_t size, int access, const MemoryDomain& domain, const MemoryQueuePair* pair) const {
  const auto found = regions_.find(key);
  if (found == regions_.end() || found->second.domain != &domain || (found->second.access & access) != access) return nullptr;
  if (found->second.pair != nullptr && found->second.pair != pair) return nullptr;
  const auto start = reinterpret_cast<uint64_t>(found->second.bytes.data());
  if (address < start || size > found->second.bytes.size() || address - start > found->second.bytes.size() - size) return nullptr;
  return found->second.bytes.data() + (address - start);
}

bool MemoryFabric::invalidate(uint32_t key, const MemoryQueuePair& pair) {
  const auto found = regions_.find(key);
  if (found == regions_.end() || found->second.domain != &pair.domain_ || (found->second.pair != nullptr && found->second.pair != &pair)) return false;
  regions_.erase(found);
  return true;
}

void MemoryFabric::release_established() {
  is_establishment_held = false;
  for (MemoryQueuePair* pair : std::exchange(unestablished_, {})) {
    pair->verbs_.post([pair] { pair->events_.on_established({}); });
  }
}

size_t MemoryFabric::disconnect_all() {
  size_t ended = 0;
  for (const auto& [number, pair] : queue_pairs_) {
    if (pair->state_ != MemoryQueuePair::State::kConnected) continue;
    pair->disconnect();
    ended += 2;  // its peer as well
  }
  return ended;
}

void MemoryFabric::remove_device() {
  is_removed_ = true;
  for (const auto& [number, pair] : queue_pairs_) pair->end(Ending::Kind::kRemoved, {});
  for (MemoryDomain* domain : domains_) domain->verbs_.post([domain] { domain->events_.on_removed(); });
}

// --- MemoryHandle, MemoryListener -------------------------------------------------------------------------------------------------------------

MemoryHandle::~MemoryHandle() {
  if (call_ != nullptr && kind_ == Kind::kRequest) reject({});
}

void MemoryHandle::reject(std::span<const std::byte> private_data) {
  WEFT_ASSERT(kind_ == Kind::kRequest);
  const auto call = std::exchange(call_, nullptr);
  if (MemoryQueuePair* client = call->client) client->end(Ending::Kind::kRejected, {private_data.begin(), private_data.end()});
}

MemoryListener::~MemoryListener() { verbs_.fabric_.listeners_.erase(address_.port); }

// --- MemoryDomain -----------------------------------------------------------------------------------------------------------------------------

MemoryDomain::MemoryDomain(MemoryVerbs& verbs, const DomainOptions& options, DomainEvents& events) : verbs_(verbs), options_(options), events_(events) {
  MemoryFabric& fabric = verbs.fabric_;
  for (const RegionRequest& region : options.regions) {
    const uint32_t key = fabric.next_key_++;
    regions_.push_back(std::make_unique<ibv_mr>(ibv_mr{.context = {}, .pd = {}, .addr = region.bytes.data(), .length = region.bytes.size(), .handle = 0, .lkey = key, .rkey = key}));
    fabric.regions_.emplace(key, MemoryFabric::Registered{region.bytes, region.access, this});
  }
  fabric.domains_.push_back(this);
}

MemoryDomain::~MemoryDomain() {
  for (const auto& region : regions_) verbs_.fabric_.regions_.erase(region->rkey);
  std::erase(verbs_.fabric_.domains_, this);
}

const Device& MemoryDomain::device() const { return verbs_.fabric_.device; }

Posted MemoryDomain::post_receive(ibv_recv_wr* receives) {
  ++verbs_.counts.receive_posts;
  for (; receives != nullptr; receives = receives->next) {
    const bool is_well_made = receives->num_sge == 1 && receives_.size() < options_.receive_entries;
    if (!is_well_made) return {ENOMEM, receives};
    receives_.emplace_back(receives->wr_id, *receives->sg_list);
    ++verbs_.counts.receives;
  }
  return {};
}

int MemoryDomain::poll(std::span<ibv_wc> completions) {
  size_t count = 0;
  for (; count < completions.size() && !completions_.empty(); ++count) {
    const Completion done = completions_.front();
    completions_.pop_front();
    completions[count] = done.wc;
    if (!done.is_send) continue;
    ++verbs_.counts.send_completions;
    const auto pair = verbs_.fabric_.queue_pairs_.find(done.wc.qp_num);
    if (pair != verbs_.fabric_.queue_pairs_.end()) pair->second->freed_ = done.sequence + 1;
  }
  return int(count);
}

void MemoryDomain::close() {
  for (const auto& region : std::exchange(regions_, {})) verbs_.fabric_.regions_.erase(region->rkey);
  verbs_.post([this] { events_.on_closed(); });
}

void MemoryDomain::push(const Completion& completion) {
  WEFT_ASSERT(completions_.size() < options_.completion_entries);
  completions_.push_back(completion);
  if (std::exchange(is_armed_, false)) verbs_.post([this] { events_.on_completions(); });
}

// --- MemoryVerbs --------------------------------------------------------------------------------------------------------------------------------

std::unique_ptr<MemoryDomain> MemoryVerbs::open(const Device& device, const DomainOptions& options, DomainEvents& events) {
  WEFT_ASSERT(&device == &fabric_.device);
  auto domain = std::make_unique<MemoryDomain>(*this, options, events);
  post([this, &events] {
    if (open_error) return events.on_open(std::unexpected(*open_error));
    if (fabric_.is_removed_) return events.on_open(fail(Errc::kNotFound, "the device is gone"));
    events.on_open({});
  });
  return domain;
}

std::unique_ptr<MemoryQueuePair> MemoryVerbs::adopt(MemoryDomain& domain, MemoryHandle handle, const QueuePairOptions& options, QueuePairEvents& events) {
  auto pair = std::make_unique<MemoryQueuePair>(*this, domain, handle.take(), options, events);
  post([&events] { events.on_ready({}); });
  return pair;
}

Result<std::unique_ptr<MemoryListener>> MemoryVerbs::listen(const net::Address& address, ListenerEvents<MemoryHandle>& events) {
  net::Address bound = address;
  if (bound.port == 0) bound.port = fabric_.next_port_++;
  if (fabric_.listeners_.contains(bound.port)) return fail(Errc::kExists, "in use: port " + std::to_string(bound.port));
  auto listener = std::make_unique<MemoryListener>(*this, bound, events);
  fabric_.listeners_.emplace(bound.port, listener.get());
  return listener;
}

void MemoryVerbs::resolve(const Route& route, ResolveEvents<MemoryHandle>& events) {
  auto call = std::make_shared<MemoryCall>();
  call->route = route;
  if (fabric_.is_removed_) return post([&events] { events.on_unresolved(Error{Errc::kNotFound, "no RDMA device leads there"}); });
  post([this, &events, call] { events.on_resolved(MemoryHandle{MemoryHandle::Kind::kRoute, call}, fabric_.device); });
}

size_t MemoryVerbs::poll() {
  size_t done = 0;
  for (size_t left = events_.size(); left > 0; --left, ++done) {
    auto event = std::move(events_.front());
    events_.pop_front();
    event();
  }
  for (MemoryQueuePair* pair : std::vector(queue_pairs_)) done += pair->run();
  return done;
}

}  // namespace weft::verbs
