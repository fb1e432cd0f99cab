#include "verbs/memory_verbs.h"

#include <string>

#include "base/assert.h"

namespace weft::verbs {

static_assert(Verbs<MemoryVerbs>);

// --- MemoryHandle, MemoryListener -------------------------------------------------------------------------------------------------------------

void MemoryHandle::reject(std::span<const std::byte> private_data) {
  WEFT_ASSERT(kind_ == Kind::kRequest);
  const auto call = std::exchange(call_, nullptr);
  call->fabric->reject(*call, {private_data.begin(), private_data.end()});
}

MemoryListener::MemoryListener(MemoryVerbs& verbs, net::Address address, ListenerEvents<MemoryHandle>& events)
    : verbs_(verbs), address_(std::move(address)), events_(events) {
  verbs.fabric_.listeners_.emplace(std::pair{verbs.machine_, address_.port}, this);
}

MemoryListener::~MemoryListener() { verbs_.fabric_.listeners_.erase({verbs_.machine_, address_.port}); }

// --- MemoryVerbs --------------------------------------------------------------------------------------------------------------------------------

MemoryVerbs::MemoryVerbs(MemoryFabric& fabric, size_t machine, std::function<void()> wake)
    : fabric_(fabric), id_(fabric.next_id_++), machine_(machine), wake_(std::move(wake)) {
  fabric.verbs_.emplace(id_, this);
}

MemoryVerbs::~MemoryVerbs() { fabric_.verbs_.erase(id_); }

void MemoryVerbs::post(MemoryFabric::Action event) {
  events_.push_back(std::move(event));
  if (wake_) wake_();
}

std::unique_ptr<MemoryDomain> MemoryVerbs::open(const Device& device, const DomainOptions& options, DomainEvents& events) {
  auto domain = std::make_unique<MemoryDomain>(*this, device, options, events);
  fabric_.control(machine_, [&fabric = fabric_, id = domain->id_] {
    MemoryDomain* opening = fabric.find_domain(id);
    if (opening == nullptr) return;
    std::optional<Error> error = opening->verbs_.open_error;
    if (!error && fabric.device_of(opening->verbs_.machine_) != &opening->device_) error = Error{Errc::kNotFound, "the device is gone"};
    opening->open(std::move(error));
  });
  return domain;
}

std::unique_ptr<MemoryQueuePair> MemoryVerbs::adopt(MemoryDomain& domain, MemoryHandle handle, const QueuePairOptions& options, QueuePairEvents& events) {
  WEFT_ASSERT(options.receive_entries > 0);
  const auto side = handle.kind() == MemoryHandle::Kind::kRoute ? MemoryQueuePair::Side::kClient : MemoryQueuePair::Side::kServer;
  auto pair = std::make_unique<MemoryQueuePair>(*this, domain, side, handle.take(), options, events);
  fabric_.control(machine_, [&fabric = fabric_, number = pair->number()] {
    MemoryQueuePair* making = fabric.find(number);
    if (making == nullptr) return;
    std::optional<Error> error;
    if (fabric.device_of(making->verbs_.machine_) != &making->domain_.device()) error = Error{Errc::kNotFound, "the device is gone"};
    making->made(std::move(error));
  });
  return pair;
}

Result<std::unique_ptr<MemoryListener>> MemoryVerbs::listen(const net::Address& address, ListenerEvents<MemoryHandle>& events) {
  net::Address bound = address;
  if (bound.port == 0) bound.port = fabric_.next_port_++;
  if (fabric_.listeners_.contains({machine_, bound.port})) return fail(Errc::kExists, "in use: port " + std::to_string(bound.port));
  return std::make_unique<MemoryListener>(*this, bound, events);
}

void MemoryVerbs::resolve(const Route& route, ResolveEvents<MemoryHandle>& events) {
  fabric_.soon(machine_, [&fabric = fabric_, id = id_, route, &events] {
    const auto found = fabric.verbs_.find(id);
    if (found == fabric.verbs_.end()) return;
    MemoryVerbs& verbs = *found->second;
    const Device* device = fabric.device_of(verbs.machine_);
    if (device == nullptr) return verbs.post([&events] { events.on_unresolved(Error{Errc::kNotFound, "no RDMA device leads there"}); });
    auto call = std::make_shared<MemoryCall>(
        MemoryCall{.fabric = &fabric, .route = route, .client_machine = verbs.machine_, .server_machine = fabric.machine_of(route.to), .private_data = {}});
    verbs.post([&events, call = std::move(call), device] { events.on_resolved(MemoryHandle{MemoryHandle::Kind::kRoute, call}, *device); });
  });
}

size_t MemoryVerbs::poll() {
  size_t done = fabric_.pump();
  for (size_t left = events_.size(); left > 0; --left, ++done) {
    auto event = std::move(events_.front());
    events_.pop_front();
    event();
  }
  return done;
}

}  // namespace weft::verbs
