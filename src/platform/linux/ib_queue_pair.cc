// Queue pairs: creation, the connection manager's handshakes, the end.
#include <cerrno>
#include <cstring>

#include "platform/linux/ib_cores.h"

namespace weft::platform {
namespace {

constexpr uint8_t kEndless = 7;  // retries of a send that finds no receive: a host that is slow is not lost
constexpr uint8_t kRejectedByConsumer = 28;

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }
std::span<const std::byte> private_data_of(const rdma_cm_event& event) {
  const rdma_conn_param& param = event.param.conn;
  return {static_cast<const std::byte*>(param.private_data), param.private_data == nullptr ? 0 : size_t{param.private_data_len}};
}

}  // namespace

// --- the reactor's half -----------------------------------------------------------------------------------------------------------------------

IbQueuePair::IbQueuePair(Reactor& reactor, RdmaControl& control, IbDomain& domain, rdma_cm_id* id, const verbs::QueuePairOptions& options,
                         verbs::QueuePairEvents& events, IbHandle::Kind kind)
    : control_(control),
      domain_(domain),
      events_(events),
      receive_entries_(options.receive_entries),
      core_(new PairCore(*this, reactor, control, *domain.core_, id, kind)) {
  control_.run([core = core_, options] { core->create(options); });
}

/// Receives are there before anybody can send.
void IbQueuePair::made(std::vector<ibv_mw*> windows, ibv_qp* pair) {
  pair_ = pair;
  windows_ = std::move(windows);
  if (domain_.receives_ == nullptr) {
    if (const verbs::Posted posted = domain_.dealer_.add(*this, receive_entries_); posted.error_number != 0) {
      domain_.dealer_.close(*this);
      control_.run([core = core_, failed = posted.error_number] { core->fail(Error::from_errno(failed, "ibv_post_recv")); });
      return;
    }
  }
  events_.on_ready({});
}

void IbQueuePair::failed(IbQueuePair& half, IbDomain& domain, const Error& error) {
  half.events_.on_ready(std::unexpected(error));
  if (domain.receives_ == nullptr) domain.dealer_.remove(half);
}

void IbQueuePair::gone(IbQueuePair& half, IbDomain& domain) {
  half.events_.on_retired();
  if (domain.receives_ == nullptr) domain.dealer_.remove(half);
}

void IbQueuePair::accept(const verbs::AcceptOptions& options) {
  control_.run([core = core_, data = copy_of(options.private_data), reads = options.initiated_reads]() mutable { core->accept(std::move(data), reads); });
}

void IbQueuePair::connect(const verbs::ConnectOptions& options) {
  control_.run([core = core_, data = copy_of(options.private_data), options]() mutable {
    core->connect(std::move(data), options.answered_reads, options.retries);
  });
}

void IbQueuePair::disconnect() {
  control_.run([core = core_] { core->end(verbs::Ending::Kind::kDisconnected, 0, {}); });
}

void IbQueuePair::retire() {
  if (domain_.receives_ == nullptr) domain_.dealer_.close(*this);
  control_.run([core = core_] { core->retire(); });
}

// --- the control thread's half ----------------------------------------------------------------------------------------------------------------

void PairCore::create(const verbs::QueuePairOptions& options) {
  id->context = static_cast<CmHandler*>(this);
  const int failed = make(options);
  // Messages name the reactor's half only: when they arrive, this one may be gone.
  if (failed == 0) return reactor.post([&half = half, pair = id->qp, its_windows = windows] { half.made(its_windows, pair); });
  fail(Error::from_errno(failed, id->qp == nullptr ? "rdma_create_qp" : "ibv_alloc_mw"));
}

void PairCore::fail(const Error& error) {
  if (origin == IbHandle::Kind::kRequest) control.library().reject(id, nullptr, 0);
  unmake();
  reactor.post([&half = half, &its_domain = domain.half, error] { IbQueuePair::failed(half, its_domain, error); });
  delete this;
}

int PairCore::make(const verbs::QueuePairOptions& options) {
  ibv_qp_init_attr attributes{.qp_context = static_cast<AsyncHandler*>(this),
                              .send_cq = domain.completions,
                              .recv_cq = domain.completions,
                              .srq = domain.receives,
                              .cap = {.max_send_wr = options.send_entries,
                                      .max_recv_wr = domain.receives == nullptr ? options.receive_entries : 0,
                                      .max_send_sge = options.pieces_max,
                                      .max_recv_sge = domain.receives == nullptr ? 1u : 0u,
                                      .max_inline_data = options.inline_bytes},
                              .qp_type = IBV_QPT_RC,
                              .sq_sig_all = 0};
  if (control.library().create_qp(id, domain.pd, &attributes) != 0) return errno;
  while (windows.size() < options.windows) {
    ibv_mw* window = ibv_alloc_mw(domain.pd, IBV_MW_TYPE_2);
    if (window == nullptr) return errno;
    windows.push_back(window);
  }
  return 0;
}

/// Windows first: while one is bound, it refers to the queue pair.
void PairCore::unmake() {
  for (ibv_mw* window : windows) ibv_dealloc_mw(window);
  if (id->qp != nullptr) control.library().destroy_qp(id);
  control.library().destroy_id(id);
}

void PairCore::accept(std::vector<std::byte> private_data, uint16_t initiated_reads) {
  if (is_ended) return;
  reads = initiated_reads;
  rdma_conn_param param{.private_data = private_data.data(),
                        .private_data_len = uint8_t(private_data.size()),
                        .responder_resources = 0,  // the host reads nothing of ours
                        .initiator_depth = uint8_t(initiated_reads),
                        .flow_control = 1,
                        .retry_count = 7,
                        .rnr_retry_count = kEndless};
  if (control.library().accept(id, &param) != 0) end(verbs::Ending::Kind::kFailed, errno, {});
}

void PairCore::connect(std::vector<std::byte> private_data, uint16_t answered_reads, uint8_t retries) {
  if (is_ended) return;
  rdma_conn_param param{.private_data = private_data.data(),
                        .private_data_len = uint8_t(private_data.size()),
                        .responder_resources = uint8_t(answered_reads),
                        .initiator_depth = 0,
                        .flow_control = 1,
                        .retry_count = retries,
                        .rnr_retry_count = kEndless};
  if (control.library().connect(id, &param) != 0) end(verbs::Ending::Kind::kFailed, errno, {});
}

void PairCore::on_cm_event(const rdma_cm_event& event) {
  using Kind = verbs::Ending::Kind;
  switch (event.event) {
    case RDMA_CM_EVENT_ESTABLISHED:
      return reactor.post([&half = half, reads = reads, data = copy_of(private_data_of(event))] {
        half.events_.on_established({.private_data = data, .initiated_reads = reads});
      });
    case RDMA_CM_EVENT_REJECTED:
      return end(event.status == kRejectedByConsumer ? Kind::kRejected : Kind::kUnreachable, ECONNREFUSED, private_data_of(event));
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE: return end(Kind::kUnreachable, -event.status, {});
    case RDMA_CM_EVENT_DISCONNECTED:
    case RDMA_CM_EVENT_ADDR_CHANGE: return end(Kind::kDisconnected, 0, {});
    case RDMA_CM_EVENT_DEVICE_REMOVAL: return end(Kind::kRemoved, ENODEV, {});
    default: return;  // TIMEWAIT_EXIT: the number may be used again, which is the device's business
  }
}

void PairCore::on_async_event(const ibv_async_event& event) {
  switch (event.event_type) {
    case IBV_EVENT_COMM_EST:  // a capsule has come before the host's last word of the handshake, which may be lost
      control.library().notify(id, IBV_EVENT_COMM_EST);
      return;
    case IBV_EVENT_QP_LAST_WQE_REACHED:
      is_last_receive_taken = true;
      return tell_drained();
    default: return end(verbs::Ending::Kind::kFailed, EIO, {});
  }
}

/// To the error state, in which everything flushes, whatever the connection manager thinks of it.
void PairCore::end(verbs::Ending::Kind kind, int error_number, std::span<const std::byte> private_data) {
  if (std::exchange(is_ended, true)) return;
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_ERR;
  control.library().modify_qp(id->qp, &attributes, IBV_QP_STATE);
  control.library().disconnect(id);  // refused where there is no connection
  reactor.post([&half = half, kind, error_number, data = copy_of(private_data)] {
    half.events_.on_ended({.kind = kind, .error_number = error_number, .private_data = data});
  });
  tell_drained();
}

void PairCore::tell_drained() {
  if (!is_ended || !is_last_receive_taken || std::exchange(is_drain_told, true)) return;
  reactor.post([&half = half] { half.events_.on_drained(); });
}

void PairCore::retire() {
  if (!std::exchange(is_ended, true)) control.library().disconnect(id);
  unmake();
  reactor.post([&half = half, &its_domain = domain.half] { IbQueuePair::gone(half, its_domain); });
  delete this;
}

}  // namespace weft::platform
