#include "platform/linux/rdma_control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/assert.h"
#include "platform/linux/memory_lock.h"

namespace weft::platform {
namespace {

constexpr int kRetryMs = 1000;
constexpr uint32_t kDealtReceivesMax = 65536;  // of a domain, where no device limits them: bookkeeping

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

verbs::LinkKind link_of(const ibv_context& context, const ibv_port_attr& port) {
  if (context.device->transport_type == IBV_TRANSPORT_IWARP) return verbs::LinkKind::kIwarp;
  return port.link_layer == IBV_LINK_LAYER_ETHERNET ? verbs::LinkKind::kRoce : verbs::LinkKind::kInfiniband;
}

/// ibv_query_port() of the header without what it falls back to, which would have to be linked.
bool query_port(ibv_context* context, uint8_t number, ibv_port_attr& port) {
  const verbs_context* extended = verbs_get_ctx_op(context, query_port);
  return extended != nullptr && extended->query_port(context, number, &port, sizeof port) == 0;
}

constexpr uint32_t kSoftIwarpVendor = 0x626d74;  // siw

/// Soft-RoCE (vendor 0 or ffffffh) has lost connections after remote invalidation in several kernels; software iWARP refuses a SEND that invalidates
/// and has its data inline, as a response has. Hosts invalidate by themselves just as well.
bool is_software(const ibv_device_attr& attributes) {
  return attributes.vendor_id == 0 || attributes.vendor_id == 0xffffff || attributes.vendor_id == kSoftIwarpVendor;
}

}  // namespace

Result<std::unique_ptr<RdmaControl>> RdmaControl::start(SharedReceives shared_receives) {
  const auto library = RdmaLibrary::load();
  if (!library) return std::unexpected(library.error());
  rdma_event_channel* channel = (*library)->create_event_channel();
  if (channel == nullptr) {
    return std::unexpected(Error::from_errno(
        errno, "cannot open /dev/infiniband/rdma_cm: load the module rdma_ucm (modprobe rdma_ucm), and let this user open the device"));
  }
  make_nonblocking(channel->fd);
  UniqueFd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake.is_open()) {
    (*library)->destroy_event_channel(channel);
    return std::unexpected(Error::from_errno(errno, "eventfd"));
  }
  std::unique_ptr<RdmaControl> control{new RdmaControl(**library, channel, std::move(wake), shared_receives)};
  control->thread_ = std::thread([raw = control.get()] { raw->work(); });
  return control;
}

RdmaControl::~RdmaControl() {
  join();
  WEFT_SUSPECT(watches_.empty() && retries_.empty());
  library_.destroy_event_channel(channel_);
}

void RdmaControl::join() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
}

void RdmaControl::run(std::move_only_function<void()> task) {
  {
    const std::lock_guard lock{mutex_};
    tasks_.push_back(std::move(task));
  }
  ::eventfd_write(wake_.get(), 1);
}

void RdmaControl::work() {
  std::vector<pollfd> descriptors;
  for (;;) {
    descriptors.assign({{.fd = wake_.get(), .events = POLLIN, .revents = 0}, {.fd = channel_->fd, .events = POLLIN, .revents = 0}});
    // One that has gone hangs up for ever: it is not asked any more (poll() passes over negative descriptors).
    for (const auto& watch : watches_) {
      descriptors.push_back({.fd = watch->device->is_gone ? -1 : watch->device->context->async_fd, .events = POLLIN, .revents = 0});
    }
    const int ready = ::poll(descriptors.data(), descriptors.size(), retries_.empty() ? -1 : kRetryMs);
    const auto now = std::chrono::steady_clock::now();
    if (now - retried_ >= std::chrono::milliseconds(kRetryMs)) {
      retried_ = now;
      run_retries();
    }
    if (ready <= 0) continue;
    eventfd_t woken = 0;
    ::eventfd_read(wake_.get(), &woken);
    read_cm_events();
    // By index: what an event leads to may add and remove watches; one that is missed is readable still.
    for (size_t i = 0; i < watches_.size() && i + 2 < descriptors.size(); ++i) {
      if ((descriptors[i + 2].revents & POLLIN) != 0) read_async_events(*watches_[i]);
    }
    run_tasks();
    const std::lock_guard lock{mutex_};
    if (is_stopping_ && tasks_.empty()) return;
  }
}

void RdmaControl::run_tasks() {
  for (;;) {
    std::move_only_function<void()> task;
    {
      const std::lock_guard lock{mutex_};
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void RdmaControl::run_retries() {
  std::vector<Retry> trying = std::exchange(retries_, {});
  for (Retry& each : trying) {
    if (!each.again()) retries_.push_back(std::move(each));
  }
}

void RdmaControl::retry(const void* owner, std::move_only_function<bool()> again) { retries_.push_back({owner, std::move(again)}); }

void RdmaControl::forget(const void* owner) {
  std::erase_if(retries_, [owner](const Retry& each) { return each.owner == owner; });
}

void RdmaControl::read_cm_events() {
  rdma_cm_event* event = nullptr;
  while (library_.get_cm_event(channel_, &event) == 0) {
    // Acknowledged before it is acted upon: destroying an id waits for the acknowledgement of its events. What is needed of it is copied.
    rdma_cm_event copy = *event;
    std::array<std::byte, 256> private_data;
    const bool has_connection = event->event != RDMA_CM_EVENT_ADDR_RESOLVED && event->event != RDMA_CM_EVENT_ROUTE_RESOLVED;
    if (has_connection && event->param.conn.private_data != nullptr) {
      std::memcpy(private_data.data(), event->param.conn.private_data, event->param.conn.private_data_len);
      copy.param.conn.private_data = private_data.data();
    }
    if (copy.event == RDMA_CM_EVENT_DEVICE_REMOVAL) removed(event->id->verbs);
    // Of a request the new id inherits the listener's context.
    auto* handler = static_cast<CmHandler*>(event->id->context);
    library_.ack_cm_event(event);
    if (handler != nullptr) {
      handler->on_cm_event(copy);
    } else if (copy.event == RDMA_CM_EVENT_CONNECT_REQUEST) {
      library_.destroy_id(copy.id);  // nobody listens yet: refused
    }
  }
  if (std::exchange(has_removed_, false)) let_go_of_removed();
}

/// Whoever comes over that context again comes over another device.
void RdmaControl::removed(const ibv_context* context) {
  for (const auto& device : devices_) {
    if (device->context == context) device->is_gone = true;
  }
  has_removed_ = true;
}

/// librdmacm closes a device with its last id only if it knows that it has gone, which it finds out when it is asked for all devices; until then the
/// kernel cannot take a soft-RoCE or siw device away. It does not believe in the loss of the only one (rdma-core 44), and opens all others, which
/// nobody minds but who takes one of those away.
void RdmaControl::let_go_of_removed() {
  if (ibv_context** devices = library_.get_devices(nullptr)) library_.free_devices(devices);
}

void RdmaControl::read_async_events(Watch& watch) {
  ibv_async_event event;
  // Removed by what an event leads to, `watch` is gone: one event for each poll.
  if (library_.get_async_event(watch.device->context, &event) != 0) return;
  library_.ack_async_event(&event);
  dispatch(watch, event);
}

void RdmaControl::dispatch(Watch& watch, const ibv_async_event& event) {
  switch (event.event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
    case IBV_EVENT_COMM_EST: return static_cast<AsyncHandler*>(event.element.qp->qp_context)->on_async_event(event);
    case IBV_EVENT_SRQ_ERR:
    case IBV_EVENT_SRQ_LIMIT_REACHED: return static_cast<AsyncHandler*>(event.element.srq->srq_context)->on_async_event(event);
    default:
      for (AsyncHandler* handler : std::vector(watch.handlers)) handler->on_async_event(event);
  }
}

void RdmaControl::watch(IbDevice& device, AsyncHandler& handler) {
  const auto found = std::ranges::find(watches_, &device, [](const auto& watch) { return watch->device; });
  if (found != watches_.end()) return (*found)->handlers.push_back(&handler);
  make_nonblocking(device.context->async_fd);
  watches_.push_back(std::make_unique<Watch>(Watch{&device, {&handler}}));
}

void RdmaControl::unwatch(IbDevice& device, AsyncHandler& handler) {
  const auto found = std::ranges::find(watches_, &device, [](const auto& watch) { return watch->device; });
  WEFT_ASSERT(found != watches_.end());
  std::erase((*found)->handlers, &handler);
  if ((*found)->handlers.empty()) watches_.erase(found);
}

IbDevice& RdmaControl::device_of(const rdma_cm_id& id) {
  for (const auto& device : devices_) {
    if (device->context == id.verbs && !device->is_gone) return *device;
  }
  auto device = std::make_unique<IbDevice>();
  device->context = id.verbs;
  device->name = library_.get_device_name(id.verbs->device);
  std::memcpy(&device->address, &id.route.addr.src_storage, sizeof device->address);
  ibv_device_attr attributes{};
  if (library_.query_device(id.verbs, &attributes) == 0) {
    device->queue_pair_entries_max = uint32_t(attributes.max_qp_wr);
    device->completion_entries_max = uint32_t(attributes.max_cqe);
    device->has_shared_receives = attributes.max_srq > 0 && shared_receives_ == SharedReceives::kWhereThereAre;
    device->receive_entries_max = device->has_shared_receives ? uint32_t(attributes.max_srq_wr) : kDealtReceivesMax;
    device->initiated_reads_max = uint16_t(std::clamp(attributes.max_qp_init_rd_atom, 0, 255));
    device->answered_reads_max = uint16_t(std::clamp(attributes.max_qp_rd_atom, 0, 255));
    device->has_windows = (attributes.device_cap_flags & (IBV_DEVICE_MEM_WINDOW_TYPE_2A | IBV_DEVICE_MEM_WINDOW_TYPE_2B)) != 0;
    device->can_invalidate_remotely = (attributes.device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS) != 0 && !is_software(attributes);
    // siw gives the pages of unsignalled data of a page or more to TCP, which may read them for as long as the peer has not acknowledged them; it copies signalled data.
    device->reads_silent_data_late = attributes.vendor_id == kSoftIwarpVendor;
  }
  ibv_port_attr port{};
  if (query_port(id.verbs, id.port_num, port)) {
    device->link = link_of(*id.verbs, port);
    if (port.max_msg_sz > 0) device->message_bytes_max = port.max_msg_sz;
  }
  devices_.push_back(std::move(device));
  return *devices_.back();
}

Result<void> RdmaControl::lock_memory(size_t bytes) {
  if (const auto allowed = check_memory_lock("RDMA", bytes, locked_bytes_); !allowed) return allowed;
  locked_bytes_ += bytes;
  return {};
}

}  // namespace weft::platform
