// The real side of verbs/verbs.h: libibverbs and librdmacm. Each object has two halves: what reactors use, here, and a core that only the control
// thread touches (ib_cores.h). Calls that may block are tasks for the control thread; what comes of them is a message to the reactor. Posting, polling
// and arming are the provider's own functions, inline in libibverbs' header.
#pragma once
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/reactor.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/rdma_control.h"
#include "platform/linux/receive_dealer.h"
#include "verbs/receives.h"
#include "verbs/verbs.h"

namespace weft::platform {

class IbDomain;
class IbQueuePair;
class IbListener;
struct DomainCore;
struct PairCore;
struct ListenerCore;

/// An rdma_cm_id with a request, or a route. Any thread may hold it.
class IbHandle {
 public:
  enum class Kind : uint8_t { kRoute, kRequest };
  IbHandle(RdmaControl& control, rdma_cm_id* id, Kind kind) : control_(&control), id_(id), kind_(kind) {}
  IbHandle(IbHandle&& other) noexcept : control_(other.control_), id_(std::exchange(other.id_, nullptr)), kind_(other.kind_) {}
  IbHandle& operator=(IbHandle&& other) noexcept {
    std::swap(control_, other.control_);
    std::swap(id_, other.id_);
    std::swap(kind_, other.kind_);
    return *this;
  }
  ~IbHandle() { drop({}); }
  /// Refuses a request; destroys the id.
  void drop(std::span<const std::byte> private_data);
  rdma_cm_id* take() { return std::exchange(id_, nullptr); }
  Kind kind() const { return kind_; }

 private:
  RdmaControl* control_;
  rdma_cm_id* id_;
  Kind kind_;
};

class IbDomain final : private FdHandler {
 public:
  IbDomain(EventLoop& loop, Reactor& reactor, RdmaControl& control, IbDevice& device, const verbs::DomainOptions& options, verbs::DomainEvents& events);
  ~IbDomain();
  const verbs::Device& device() const { return device_; }
  uint32_t local_key(size_t region) const { return regions_.at(region)->lkey; }
  uint32_t remote_key(size_t region) const { return regions_.at(region)->rkey; }
  ibv_mr* memory_region(size_t region) const { return regions_.at(region); }
  verbs::Posted post_receive(ibv_recv_wr* receives) {
    if (receives_ == nullptr) return dealer_.post(receives);
    ibv_recv_wr* refused = nullptr;
    const int failed = ibv_post_srq_recv(receives_, receives, &refused);
    return {.error_number = failed, .refused = refused};
  }
  int poll(std::span<ibv_wc> completions) {
    const int count = ibv_poll_cq(completions_, int(completions.size()), completions.data());
    if (receives_ == nullptr) note_receives(completions.first(size_t(std::max(count, 0))));
    return count;
  }
  void arm() { ibv_req_notify_cq(completions_, 0); }
  void set_receive_limit(uint32_t count);
  void close();

 private:
  friend struct DomainCore;
  friend class IbVerbs;
  friend class IbQueuePair;
  void on_events(uint32_t epoll_events) override;
  void opened(Result<void> result);
  void note_receives(std::span<const ibv_wc> completions);

  EventLoop& loop_;
  RdmaControl& control_;
  IbDevice& device_;
  verbs::DomainEvents& events_;
  DomainCore* core_;  // the control thread's
  // Of the core, once it is open:
  std::vector<ibv_mr*> regions_;
  ibv_comp_channel* channel_ = nullptr;
  ibv_cq* completions_ = nullptr;
  ibv_srq* receives_ = nullptr;  // null: the device has none
  ReceiveDealer dealer_;         // where it has none
};

class IbQueuePair final : private ReceiveQueue {
 public:
  IbQueuePair(Reactor& reactor, RdmaControl& control, IbDomain& domain, rdma_cm_id* id, const verbs::QueuePairOptions& options, verbs::QueuePairEvents& events,
              IbHandle::Kind kind);
  uint32_t number() const { return pair_->qp_num; }
  ibv_mw& window(uint32_t index) { return *windows_.at(index); }
  verbs::Posted post_send(ibv_send_wr* sends) {
    ibv_send_wr* refused = nullptr;
    const int failed = ibv_post_send(pair_, sends, &refused);
    return {.error_number = failed, .refused = refused};
  }
  void accept(const verbs::AcceptOptions& options);
  void connect(const verbs::ConnectOptions& options);
  void disconnect();
  void retire();

 private:
  friend struct PairCore;
  int post_receive(ibv_recv_wr* receives, ibv_recv_wr** refused) override { return ibv_post_recv(pair_, receives, refused); }
  void made(std::vector<ibv_mw*> windows, ibv_qp* pair);
  // Destroyed in the device, and so may the object be by the event: the domain takes back what its receive queue had.
  static void failed(IbQueuePair& half, IbDomain& domain, const Error& error);
  static void gone(IbQueuePair& half, IbDomain& domain);

  RdmaControl& control_;
  IbDomain& domain_;
  verbs::QueuePairEvents& events_;
  uint32_t receive_entries_;
  PairCore* core_;  // the control thread's
  // Of the core, once it is ready:
  ibv_qp* pair_ = nullptr;
  std::vector<ibv_mw*> windows_;
};

class IbListener final {
 public:
  IbListener(Reactor& reactor, RdmaControl& control, rdma_cm_id* id, net::Address address, verbs::ListenerEvents<IbHandle>& events);
  ~IbListener();
  const net::Address& address() const { return address_; }

 private:
  RdmaControl& control_;
  net::Address address_;
  ListenerCore* core_;  // the control thread's
};

class IbVerbs final {
 public:
  using Domain = IbDomain;
  using QueuePair = IbQueuePair;
  using Handle = IbHandle;
  using Listener = IbListener;

  /// Outlives: all three outlive it and what is made of it.
  IbVerbs(EventLoop& loop, Reactor& reactor, RdmaControl& control) : loop_(loop), reactor_(reactor), control_(control) {}
  std::unique_ptr<IbDomain> open(const verbs::Device& device, const verbs::DomainOptions& options, verbs::DomainEvents& events);
  std::unique_ptr<IbQueuePair> adopt(IbDomain& domain, IbHandle handle, const verbs::QueuePairOptions& options, verbs::QueuePairEvents& events);
  void reject(IbHandle handle, std::span<const std::byte> private_data) { handle.drop(private_data); }
  Result<std::unique_ptr<IbListener>> listen(const net::Address& address, verbs::ListenerEvents<IbHandle>& events);
  void resolve(const verbs::Route& route, verbs::ResolveEvents<IbHandle>& events);

 private:
  EventLoop& loop_;
  Reactor& reactor_;
  RdmaControl& control_;
};

}  // namespace weft::platform
