// The halves of domains, queue pairs and listeners that belong to the control thread: they call what may block, hear of events, and tell the reactor's
// half. A core outlives its other half: its last message says that it is gone.
#pragma once
#include <vector>

#include "platform/linux/ib_verbs.h"

namespace weft::platform {

struct DomainCore final : CmHandler, AsyncHandler {
  DomainCore(IbDomain& other, Reactor& r, RdmaControl& c, IbDevice& d, verbs::DomainOptions o)
      : half(other), reactor(r), control(c), device(d), options(std::move(o)) {}
  void open();
  void close();
  /// Gives everything back and tells nobody.
  void abandon();
  void on_cm_event(const rdma_cm_event& event) override;
  void on_async_event(const ibv_async_event& event) override;

  IbDomain& half;
  Reactor& reactor;
  RdmaControl& control;
  IbDevice& device;
  verbs::DomainOptions options;
  rdma_cm_id* anchor = nullptr;  // keeps the device open for librdmacm, and hears when it goes
  ibv_pd* pd = nullptr;
  ibv_comp_channel* channel = nullptr;
  ibv_cq* completions = nullptr;
  ibv_srq* receives = nullptr;
  std::vector<ibv_mr*> regions;
  size_t locked_bytes = 0;
  bool is_watching = false;
  bool is_removed = false;

 private:
  Result<void> make();
  Result<void> make_queues();
  void unmake();
  void removed();
};

struct PairCore final : CmHandler, AsyncHandler {
  PairCore(IbQueuePair& other, Reactor& r, RdmaControl& c, DomainCore& d, rdma_cm_id* i, IbHandle::Kind k)
      : half(other), reactor(r), control(c), domain(d), id(i), origin(k), is_last_receive_taken(d.receives == nullptr) {}
  void create(const verbs::QueuePairOptions& options);
  /// Gives everything back: on_ready() with the error.
  void fail(const Error& error);
  void accept(std::vector<std::byte> private_data, uint16_t reads);
  void connect(std::vector<std::byte> private_data, uint16_t answered_reads, uint8_t retries);
  void end(verbs::Ending::Kind kind, int error_number, std::span<const std::byte> private_data);
  void retire();
  void on_cm_event(const rdma_cm_event& event) override;
  void on_async_event(const ibv_async_event& event) override;

  IbQueuePair& half;
  Reactor& reactor;
  RdmaControl& control;
  DomainCore& domain;
  rdma_cm_id* id;
  IbHandle::Kind origin;
  std::vector<ibv_mw*> windows;
  uint16_t reads = 0;  // of this side's
  bool is_ended = false;
  bool is_last_receive_taken;  // the last work request event has come; without a shared receive queue there is none, and nothing to wait for
  bool is_drain_told = false;

 private:
  /// 0, or an error number; what was made stays for unmake().
  int make(const verbs::QueuePairOptions& options);
  void unmake();
  void tell_drained();
};

/// Where a listener's requests go; on the reactor. Outlives the messages that refer to it.
struct ListenerTarget {
  verbs::ListenerEvents<IbHandle>* events;  // null: the listener is gone
};

struct ListenerCore final : CmHandler {
  ListenerCore(Reactor& r, RdmaControl& c, rdma_cm_id* i, net::Address a, ListenerTarget& t)
      : reactor(r), control(c), id(i), address(std::move(a)), target(t) {}
  void on_cm_event(const rdma_cm_event& event) override;
  void close();

  Reactor& reactor;
  RdmaControl& control;
  rdma_cm_id* id;
  net::Address address;
  ListenerTarget& target;

 private:
  void request(const rdma_cm_event& event);
  void listen_again();
};

/// Finds the way to a peer; destroys itself when it has.
struct RouteCore final : CmHandler {
  RouteCore(Reactor& r, RdmaControl& c, verbs::ResolveEvents<IbHandle>& e) : reactor(r), control(c), events(e) {}
  void start(const verbs::Route& route);
  void on_cm_event(const rdma_cm_event& event) override;

  Reactor& reactor;
  RdmaControl& control;
  verbs::ResolveEvents<IbHandle>& events;
  rdma_cm_id* id = nullptr;

 private:
  void fail_with(Error error);
};

/// An id of the control thread's channel that listens. Errors: the system's, with what they mean for RDMA.
Result<rdma_cm_id*> listening_id(RdmaControl& control, const net::Address& address);

}  // namespace weft::platform
