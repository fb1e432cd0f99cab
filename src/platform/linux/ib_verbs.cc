// Requests, routes and listeners; what makes the others.
#include "platform/linux/ib_verbs.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "platform/linux/ib_cores.h"
#include "platform/linux/socket_address.h"

namespace weft::platform {

static_assert(verbs::Verbs<IbVerbs>);

namespace {

constexpr int kBacklog = 1024;
constexpr int kResolveMs = 2000;

net::Address address_of(const sockaddr_storage& storage) {
  SocketAddress address;
  std::memcpy(&address.storage, &storage, sizeof storage);
  address.size = storage.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  return from_socket_address(address);
}

Error explained(int error_number, const std::string& what) {
  if (error_number == ENODEV || error_number == EADDRNOTAVAIL) {
    return {Errc::kNotFound, fmt::format("{}: no RDMA device has this address (`rdma link` shows them; soft RoCE: modprobe rdma_rxe, rdma link add rxe0 "
                                         "type rxe netdev ETH)",
                                         what)};
  }
  return Error::from_errno(error_number, what);
}

}  // namespace

// --- IbHandle -----------------------------------------------------------------------------------------------------------------------------------

void IbHandle::drop(std::span<const std::byte> private_data) {
  if (id_ == nullptr) return;
  control_->run([control = control_, id = std::exchange(id_, nullptr), kind = kind_, data = std::vector(private_data.begin(), private_data.end())] {
    if (kind == Kind::kRequest) control->library().reject(id, data.data(), uint8_t(data.size()));
    control->library().destroy_id(id);
  });
}

// --- IbListener ---------------------------------------------------------------------------------------------------------------------------------

Result<rdma_cm_id*> listening_id(RdmaControl& control, const net::Address& address) {
  const RdmaLibrary& library = control.library();
  auto at = to_socket_address(address);
  if (!at) return std::unexpected(at.error());
  const std::string what = "rdma " + to_text(address);
  rdma_cm_id* id = nullptr;
  if (library.create_id(control.channel(), &id, nullptr, RDMA_PS_TCP) != 0) return std::unexpected(Error::from_errno(errno, what));
  int one = 1;
  library.set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &one, sizeof one);
  if (library.bind_addr(id, at->generic()) == 0 && library.listen(id, kBacklog) == 0) return id;
  const Error error = explained(errno, what);
  library.destroy_id(id);
  return std::unexpected(error);
}

IbListener::IbListener(Reactor& reactor, RdmaControl& control, rdma_cm_id* id, net::Address address, verbs::ListenerEvents<IbHandle>& events)
    : control_(control), address_(std::move(address)), core_(new ListenerCore(reactor, control, id, address_, *new ListenerTarget{&events})) {
  control_.run([core = core_] { core->id->context = static_cast<CmHandler*>(core); });
}

IbListener::~IbListener() {
  core_->target.events = nullptr;  // the reactor's, as this is
  control_.run([core = core_] { core->close(); });
}

void ListenerCore::close() {
  control.forget(this);
  if (id != nullptr) control.library().destroy_id(id);
  reactor.post([target = &target] { delete target; });
  delete this;
}

void ListenerCore::on_cm_event(const rdma_cm_event& event) {
  switch (event.event) {
    case RDMA_CM_EVENT_CONNECT_REQUEST: return request(event);
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
    case RDMA_CM_EVENT_ADDR_CHANGE: return listen_again();
    default: return;
  }
}

void ListenerCore::request(const rdma_cm_event& event) {
  rdma_cm_id* request_id = event.id;
  request_id->context = nullptr;  // until it has a queue pair, nothing that happens to it matters: accepting it will fail
  const rdma_conn_param& param = event.param.conn;
  const auto* bytes = static_cast<const std::byte*>(param.private_data);
  std::vector<std::byte> data(bytes, bytes + (bytes == nullptr ? 0 : param.private_data_len));
  reactor.post([target = &target, handle = IbHandle{control, request_id, IbHandle::Kind::kRequest}, data = std::move(data), &device = control.device_of(*request_id),
                depth = param.initiator_depth, resources = param.responder_resources, local = address_of(request_id->route.addr.src_storage),
                peer = address_of(request_id->route.addr.dst_storage)]() mutable {
    if (target->events == nullptr) return;  // refuses
    target->events->on_request(std::move(handle), {.device = device,
                                                   .private_data = data,
                                                   .initiator_depth = depth,
                                                   .responder_resources = resources,
                                                   .local = std::move(local),
                                                   .peer = std::move(peer)});
  });
}

/// Its device has gone, or has the address no more: until there is one again.
void ListenerCore::listen_again() {
  control.library().destroy_id(std::exchange(id, nullptr));
  control.retry(this, [this] {
    const auto again = listening_id(control, address);
    if (!again) return false;
    id = *again;
    id->context = static_cast<CmHandler*>(this);
    return true;
  });
}

// --- routes -------------------------------------------------------------------------------------------------------------------------------------

void RouteCore::start(const verbs::Route& route) {
  auto to = to_socket_address(route.to);
  if (!to) return fail_with(to.error());
  auto from = route.from.empty() ? Result<SocketAddress>{} : to_socket_address({.host = route.from, .port = 0, .is_ipv6 = route.from.find(':') != std::string::npos});
  if (!from) return fail_with(from.error());
  const RdmaLibrary& library = control.library();
  if (library.create_id(control.channel(), &id, static_cast<CmHandler*>(this), RDMA_PS_TCP) != 0) return fail_with(Error::from_errno(errno, "rdma_create_id"));
  if (library.resolve_addr(id, route.from.empty() ? nullptr : from->generic(), to->generic(), kResolveMs) != 0) {
    fail_with(explained(errno, route.from.empty() ? to_text(route.to) : fmt::format("{} from {}", to_text(route.to), route.from)));
  }
}

void RouteCore::on_cm_event(const rdma_cm_event& event) {
  switch (event.event) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
      if (control.library().resolve_route(id, kResolveMs) != 0) fail_with(Error::from_errno(errno, "rdma_resolve_route"));
      return;
    case RDMA_CM_EVENT_ROUTE_RESOLVED: {
      IbDevice& device = control.device_of(*id);
      id->context = nullptr;
      reactor.post([&events = events, &device, handle = IbHandle{control, id, IbHandle::Kind::kRoute}]() mutable {
        events.on_resolved(std::move(handle), device);
      });
      delete this;
      return;
    }
    default: fail_with(explained(event.status < 0 ? -event.status : ENODEV, "no way to the peer over RDMA")); return;
  }
}

void RouteCore::fail_with(Error error) {
  if (id != nullptr) control.library().destroy_id(id);
  reactor.post([&events = events, error] { events.on_unresolved(error); });
  delete this;
}

// --- IbVerbs ------------------------------------------------------------------------------------------------------------------------------------

std::unique_ptr<IbDomain> IbVerbs::open(const verbs::Device& device, const verbs::DomainOptions& options, verbs::DomainEvents& events) {
  // Every device that this side has named is the control thread's, which does not mind whose reactor changes nothing of it.
  auto& own = const_cast<IbDevice&>(static_cast<const IbDevice&>(device));
  return std::make_unique<IbDomain>(loop_, reactor_, control_, own, options, events);
}

std::unique_ptr<IbQueuePair> IbVerbs::adopt(IbDomain& domain, IbHandle handle, const verbs::QueuePairOptions& options, verbs::QueuePairEvents& events) {
  const IbHandle::Kind kind = handle.kind();
  return std::make_unique<IbQueuePair>(reactor_, control_, domain, handle.take(), options, events, kind);
}

Result<std::unique_ptr<IbListener>> IbVerbs::listen(const net::Address& address, verbs::ListenerEvents<IbHandle>& events) {
  const auto id = listening_id(control_, address);
  if (!id) return std::unexpected(id.error());
  net::Address bound = address_of((*id)->route.addr.src_storage);
  return std::make_unique<IbListener>(reactor_, control_, *id, std::move(bound), events);
}

void IbVerbs::resolve(const verbs::Route& route, verbs::ResolveEvents<IbHandle>& events) {
  auto* core = new RouteCore(reactor_, control_, events);
  control_.run([core, route] { core->start(route); });
}

}  // namespace weft::platform
