// Domains: memory, queues and the completion channel of one reactor on one device.
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "platform/linux/ib_cores.h"

namespace weft::platform {

// --- the reactor's half -----------------------------------------------------------------------------------------------------------------------

IbDomain::IbDomain(EventLoop& loop, Reactor& reactor, RdmaControl& control, IbDevice& device, const verbs::DomainOptions& options,
                   verbs::DomainEvents& events)
    : loop_(loop), control_(control), device_(device), events_(events), core_(new DomainCore(*this, reactor, control, device, options)) {
  control_.run([core = core_] { core->open(); });
}

IbDomain::~IbDomain() { WEFT_ASSERT(channel_ == nullptr); }

void IbDomain::opened(Result<void> result) {
  if (result) {
    regions_ = core_->regions;
    completions_ = core_->completions;
    receives_ = core_->receives;
    if (auto watched = loop_.watch(core_->channel->fd, EPOLLIN, *this); watched) {
      channel_ = core_->channel;
    } else {
      control_.run([core = core_] { core->abandon(); });
      result = watched;
    }
  }
  events_.on_open(result);
}

void IbDomain::on_events(uint32_t) {
  ibv_cq* completions = nullptr;
  void* context = nullptr;
  bool has_news = false;
  while (control_.library().get_cq_event(channel_, &completions, &context) == 0) {
    control_.library().ack_cq_events(completions, 1);
    has_news = true;
  }
  if (has_news) events_.on_completions();
}

void IbDomain::note_receives(std::span<const ibv_wc> completions) {
  for (const ibv_wc& completion : completions) {
    if ((completion.wr_id & verbs::kReceiveBit) != 0) dealer_.polled(completion.wr_id);
  }
}

void IbDomain::set_receive_limit(uint32_t count) {
  if (receives_ == nullptr) return;
  control_.run([core = core_, count] {
    ibv_srq_attr attributes{.max_wr = 0, .max_sge = 0, .srq_limit = count};
    core->control.library().modify_srq(core->receives, &attributes, IBV_SRQ_LIMIT);  // refused: no warning comes, nothing else
  });
}

void IbDomain::close() {
  if (channel_ != nullptr) loop_.unwatch(std::exchange(channel_, nullptr)->fd, *this);
  control_.run([core = core_] { core->close(); });
}

// --- the control thread's half ----------------------------------------------------------------------------------------------------------------

void DomainCore::open() {
  const auto made = make();
  if (made) return reactor.post([&half = half] { half.opened({}); });
  reactor.post([&half = half, error = made.error()] { half.opened(std::unexpected(error)); });
  abandon();
}

void DomainCore::abandon() {
  unmake();
  delete this;
}

Result<void> DomainCore::make() {
  const RdmaLibrary& library = control.library();
  if (device.is_gone) return fail(Errc::kNotFound, "the device is gone");
  // Without an id of its own on it, librdmacm may close a device that has gone, with the last connection, while this still uses it.
  if (library.create_id(control.channel(), &anchor, static_cast<CmHandler*>(this), RDMA_PS_TCP) != 0) {
    return std::unexpected(Error::from_errno(errno, "rdma_create_id"));
  }
  sockaddr_storage address = device.address;
  if (address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = 0;
  } else {
    reinterpret_cast<sockaddr_in&>(address).sin_port = 0;
  }
  if (library.bind_addr(anchor, reinterpret_cast<sockaddr*>(&address)) != 0 || anchor->verbs != device.context) {
    return fail(Errc::kNotFound, "the device is gone");
  }
  control.watch(device, *this);
  is_watching = true;
  pd = library.alloc_pd(device.context);
  if (pd == nullptr) return std::unexpected(Error::from_errno(errno, "ibv_alloc_pd"));
  size_t bytes = 0;
  for (const verbs::RegionRequest& region : options.regions) bytes += region.bytes.size();
  if (const auto allowed = control.lock_memory(bytes); !allowed) return allowed;
  locked_bytes = bytes;
  for (const verbs::RegionRequest& region : options.regions) {
    ibv_mr* registered = library.reg_mr(pd, region.bytes.data(), region.bytes.size(), region.access);
    if (registered == nullptr) return std::unexpected(Error::from_errno(errno, "ibv_reg_mr of " + std::to_string(region.bytes.size()) + " bytes"));
    regions.push_back(registered);
  }
  return make_queues();
}

Result<void> DomainCore::make_queues() {
  const RdmaLibrary& library = control.library();
  channel = library.create_comp_channel(device.context);
  if (channel == nullptr) return std::unexpected(Error::from_errno(errno, "ibv_create_comp_channel"));
  ::fcntl(channel->fd, F_SETFL, ::fcntl(channel->fd, F_GETFL) | O_NONBLOCK);
  completions = library.create_cq(device.context, int(options.completion_entries), this, channel, 0);
  if (completions == nullptr) return std::unexpected(Error::from_errno(errno, "ibv_create_cq of " + std::to_string(options.completion_entries)));
  if (!device.has_shared_receives) return {};
  ibv_srq_init_attr attributes{.srq_context = static_cast<AsyncHandler*>(this), .attr = {.max_wr = options.receive_entries, .max_sge = 1, .srq_limit = 0}};
  receives = library.create_srq(pd, &attributes);
  if (receives == nullptr) return std::unexpected(Error::from_errno(errno, "ibv_create_srq of " + std::to_string(options.receive_entries)));
  return {};
}

/// In the order in which they refer to each other.
void DomainCore::unmake() {
  const RdmaLibrary& library = control.library();
  if (receives != nullptr) library.destroy_srq(receives);
  if (completions != nullptr) library.destroy_cq(completions);
  if (channel != nullptr) library.destroy_comp_channel(channel);
  for (ibv_mr* region : regions) library.dereg_mr(region);
  if (pd != nullptr) library.dealloc_pd(pd);
  control.unlock_memory(locked_bytes);
  if (is_watching) control.unwatch(device, *this);
  if (anchor != nullptr) library.destroy_id(anchor);
}

void DomainCore::close() {
  IbDomain& told = half;
  Reactor& its = reactor;
  abandon();
  its.post([&told] { told.events_.on_closed(); });
}

void DomainCore::on_cm_event(const rdma_cm_event& event) {
  if (event.event == RDMA_CM_EVENT_DEVICE_REMOVAL) removed();
}

void DomainCore::on_async_event(const ibv_async_event& event) {
  switch (event.event_type) {
    case IBV_EVENT_SRQ_LIMIT_REACHED: return reactor.post([&half = half] { half.events_.on_receives_low(); });
    case IBV_EVENT_SRQ_ERR:
    case IBV_EVENT_CQ_ERR:
    case IBV_EVENT_DEVICE_FATAL: return removed();
    default: return;  // ports that come and go: connections find out by themselves
  }
}

void DomainCore::removed() {
  if (std::exchange(is_removed, true)) return;
  device.is_gone = true;
  reactor.post([&half = half] { half.events_.on_removed(); });
}

}  // namespace weft::platform
