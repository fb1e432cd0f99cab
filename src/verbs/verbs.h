// The verbs seam: RDMA devices and their connection manager as one reactor sees them. Work is spoken of in libibverbs' own structs
// (ibv_send_wr, ibv_recv_wr, ibv_sge, ibv_wc), as net/stream.h speaks iovec, so nothing is translated on the hot path; everything else is ours.
// Real side: platform/linux/ib_verbs.h; in memory: verbs/memory_verbs.h; the simulator has its own.
//
// A Verbs belongs to one reactor. What may block (registering memory; creating and destroying queues; accepting, connecting, disconnecting)
// happens elsewhere: the call returns at once and an event says how it ended, on the reactor, while it polls, and never from inside a call
// that the owner makes. Only post, poll and arm do their work at once.
//
//   target:  Listener ─on_request(Handle)─► any reactor: Verbs::adopt(Domain, Handle) ─on_ready─► QueuePair::accept ─on_established─► …
//   host:    Verbs::resolve ─on_resolved(Handle)─►      Verbs::adopt(Domain, Handle) ─on_ready─► QueuePair::connect ─on_established─► …
//   both:    … ─on_ended─► [everything flushes] ─on_drained─► poll the rest ─► QueuePair::retire ─on_retired─► destroy the object
//
// Who owns a work request's memory: the structs are the caller's again when a post returns; the buffers that they point to are the device's
// until the work request's completion is polled, or, of a send without IBV_SEND_SIGNALED, that of a later one of its queue pair, or until
// on_retired(). Sends of a queue pair complete in the order in which they were posted; so do receives. A work request that fails, and each
// one that comes after it, completes with a status, signalled or not; such an ibv_wc has wr_id, status, qp_num and vendor_err only.
#pragma once
#include <infiniband/verbs.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/stream.h"
#include "verbs/device.h"

namespace weft::verbs {

/// Memory to register with a device. Stays mapped until on_closed().
struct RegionRequest {
  std::span<std::byte> bytes;
  int access = 0;  // IBV_ACCESS_…; what the device reads only needs none
};

struct DomainOptions {
  uint32_t completion_entries = 0;       // the completion queue never overflows: whoever adds queue pairs counts what may be outstanding
  uint32_t receive_entries = 0;          // of the receives that its queue pairs share
  std::vector<RegionRequest> regions{};  // each gets a key, in this order
};

class DomainEvents {
 public:
  /// It can be used, or it could not be opened (then on_closed() does not come, and the object may be destroyed). Errors: kLimit with the numbers
  /// and the cure (memory lock limit), kNotFound (the device is gone), the system's.
  virtual void on_open(Result<void> result) = 0;
  /// After arm(): something has completed. Poll, and arm again before the next sleep.
  virtual void on_completions() = 0;
  /// Fewer receives are posted than set_receive_limit() has asked for; that limit is used up.
  virtual void on_receives_low() = 0;
  /// The device is gone or broken: its queue pairs end by themselves; retire them, then close().
  virtual void on_removed() = 0;
  /// After close(): nothing refers to the regions any more, the object may be destroyed.
  virtual void on_closed() = 0;

 protected:
  ~DomainEvents() = default;
};

/// What one posting did: how many work requests were taken. The others, from the first that was refused, were not.
struct Posted {
  int error_number = 0;  // 0: all
  const void* refused = nullptr;  // the first ibv_send_wr or ibv_recv_wr that was not taken
};

/// What one reactor has on one device: a protection domain, memory regions, one completion queue for everything, and receives that
/// its queue pairs share: a shared receive queue, or what stands for one on a device that has none.
/// Requires of all but close(): on_open() came with success and close() was not called.
template <typename D>
concept Domain = requires(D domain, const D& constant, ibv_recv_wr* receives, std::span<ibv_wc> completions, size_t region, uint32_t count) {
  { constant.device() } -> std::same_as<const Device&>;
  // As registered: the value for ibv_sge::lkey, and what a peer needs to reach the region where its access allows that.
  { constant.local_key(region) } -> std::same_as<uint32_t>;
  { constant.remote_key(region) } -> std::same_as<uint32_t>;
  // What IBV_WR_BIND_MW says it binds a window to.
  { constant.memory_region(region) } -> std::same_as<ibv_mr*>;
  // Adds a chain of receives, each of one piece. wr_id: with kReceiveBit (receives.h), which sends do not have, and none twice at a time.
  // Posted::refused is not set where they are not one queue of the device's.
  { domain.post_receive(receives) } -> std::same_as<Posted>;
  // Takes what has completed, at most as many; fewer: there is no more. Negative: the completion queue is broken; on_removed() comes.
  { domain.poll(completions) } -> std::same_as<int>;
  // on_completions() comes for the next completion. One that came before this call may have been missed: poll once more.
  { domain.arm() };
  // on_receives_low() comes once, when fewer than `count` receives are left in the shared receive queue; without one it never comes.
  { domain.set_receive_limit(count) };
  // Gives everything back. Requires: every queue pair of it has retired.
  { domain.close() };
};

struct QueuePairOptions {
  uint32_t send_entries = 0;  // work requests that may be outstanding in the send queue
  uint32_t receive_entries = 0;  // of the domain's receives: what its peer may use at a time. It has no more where there is no shared receive queue
  uint32_t inline_bytes = 0;  // data that a work request may carry inside: IBV_SEND_INLINE
  uint32_t pieces_max = 1;    // ibv_sge of a work request of the send queue
  uint32_t windows = 0;       // memory windows of type 2; Requires: 0, or Device::has_windows
};

/// Why a queue pair has ended, or never came to be.
struct Ending {
  enum class Kind : uint8_t {
    kDisconnected,  // by either side
    kRejected,      // connect(): the peer has refused; `private_data` says why
    kUnreachable,   // connect(), accept(): nobody answers, or the other side has given up
    kRemoved,       // the device is gone
    kFailed,        // the system refuses; `error_number` says why
  };
  Kind kind = Kind::kDisconnected;
  int error_number = 0;
  std::span<const std::byte> private_data{};  // for the call only
};

/// What the connection manager has settled. For the call only.
struct Agreement {
  std::span<const std::byte> private_data{};  // connect(): of the acceptance; may be padded with zeroes
  uint16_t initiated_reads = 0;               // READs that this side may have outstanding
};

/// Everything that happens to a queue pair, in this order; on_ended() may come at any time after on_ready() with success.
class QueuePairEvents {
 public:
  /// It may be accepted or connected. With an error (kLimit, kNotFound, the system's) it is retired at once, and on_retired() does not come.
  virtual void on_ready(Result<void> result) = 0;
  /// The peer can take sends. Its own may have completed before.
  virtual void on_established(const Agreement& agreement) = 0;
  /// Over, once: what is outstanding completes with IBV_WC_WR_FLUSH_ERR, and so does what is posted from now on.
  virtual void on_ended(const Ending& ending) = 0;
  /// After on_ended(), once: no more of the shared receives are taken for it (the last work request event). Those taken have
  /// completed. A device may fail to say so; then who waits gives up in time and retires.
  virtual void on_drained() = 0;
  /// After retire(), the last event: destroyed in the device. The owner polls in this call what is left of its completions: from now on its
  /// receives are others', and another queue pair may have its number. The object may be destroyed.
  virtual void on_retired() = 0;

 protected:
  ~QueuePairEvents() = default;
};

struct AcceptOptions {
  std::span<const std::byte> private_data{};
  uint16_t initiated_reads = 0;  // READs of this side; not more than the peer answers nor the device can
};

struct ConnectOptions {
  std::span<const std::byte> private_data{};
  uint16_t answered_reads = 0;  // READs of the peer that this side answers at a time
  uint8_t retries = 7;          // of a transport time-out
};

/// A reliable connected queue pair. RNR retries are without end on both sides. Destroyed only after on_retired(), after an on_ready() with an
/// error, or with its Verbs.
template <typename Q>
concept QueuePair = requires(Q pair, const Q& constant, ibv_send_wr* sends, const AcceptOptions& accept, const ConnectOptions& connect, uint32_t window) {
  { constant.number() } -> std::same_as<uint32_t>;  // qp_num of its completions; after on_ready()
  // One of QueuePairOptions::windows, after on_ready(): IBV_WR_BIND_MW binds it to a part of a region with IBV_ACCESS_MW_BIND under a new key
  // (ibv_inc_rkey), which only this queue pair's peer may use, until it is invalidated by IBV_WR_LOCAL_INV or by the peer's SEND_WITH_INV.
  // Requires: whoever binds has set ibv_mw::rkey to the last key that it was bound under.
  { pair.window(window) } -> std::same_as<ibv_mw&>;
  // Hands a chain to the device with one call. Requires: as many entries of the send queue are free. The device may refuse (ENOMEM, EINVAL):
  // what comes after is not posted, and the queue pair is best ended.
  { pair.post_send(sends) } -> std::same_as<Posted>;
  { pair.accept(accept) };    // of an on_request(); once
  { pair.connect(connect) };  // of an on_resolved(); once
  { pair.disconnect() };      // on_ended() follows, if it has not come. Idempotent; any time after on_ready()
  { pair.retire() };          // once, after on_ready() with success; on_retired() follows. Before on_ended() it ends the connection without it
};

/// What a connection request says. For the call only.
struct RequestInfo {
  const Device& device;
  std::span<const std::byte> private_data;  // padded with zeroes by some connection managers
  uint16_t initiator_depth = 0;             // READs that this side may have outstanding at the peer
  uint16_t responder_resources = 0;         // READs of the peer's that it would like this side to answer
  net::Address local;
  net::Address peer;
};

/// `H` is the Verbs' Handle: a connection that a peer asks for, or a way to a peer, of no reactor yet. May be moved to another thread; when it
/// dies the peer is refused, or nothing happens.
template <typename H>
class ListenerEvents {
 public:
  virtual void on_request(H handle, const RequestInfo& info) = 0;

 protected:
  ~ListenerEvents() = default;
};

/// From where to where. Numeric addresses.
struct Route {
  net::Address to;
  std::string from{};  // one of this side's own, without port; empty: the one that the system has for the way there
};

/// Where on_resolved() goes. Embedded in who waits; dies only after an event, or with its Verbs.
template <typename H>
class ResolveEvents {
 public:
  virtual void on_resolved(H handle, const Device& device) = 0;
  /// Errors: kNotFound (no RDMA device leads there), kTimedOut, the system's.
  virtual void on_unresolved(Error error) = 0;

 protected:
  ~ResolveEvents() = default;
};

/// Accepts requests from construction to destruction. Survives that a device goes, and takes part again when it comes back.
template <typename L>
concept Listener = requires(const L listener) {
  { listener.address() } -> std::same_as<const net::Address&>;  // the real one, also where port 0 was asked for
};

/// One reactor's RDMA.
template <typename V>
concept Verbs = Domain<typename V::Domain> && QueuePair<typename V::QueuePair> && Listener<typename V::Listener> &&
                std::movable<typename V::Handle> &&
                requires(V verbs, typename V::Handle handle, typename V::Domain& domain, const Device& device, const DomainOptions& domain_options,
                         DomainEvents& domain_events, const QueuePairOptions& options, QueuePairEvents& events, const net::Address& address, const Route& route,
                         ListenerEvents<typename V::Handle>& listener_events, ResolveEvents<typename V::Handle>& resolve_events,
                         std::span<const std::byte> private_data) {
                  // Starts to open; on_open() follows.
                  { verbs.open(device, domain_options, domain_events) } -> std::same_as<std::unique_ptr<typename V::Domain>>;
                  // A queue pair of this reactor from a handle, which may come from another reactor; on_ready() follows. Requires: the
                  // domain is open and on the handle's device; it outlives the queue pair.
                  { verbs.adopt(domain, std::move(handle), options, events) } -> std::same_as<std::unique_ptr<typename V::QueuePair>>;
                  // Refuses a request, with private data that says why. Any reactor.
                  { verbs.reject(std::move(handle), private_data) };
                  // Numeric addresses only; port 0 takes any free one. Errors: kNotFound when there is no RDMA here, with what is missing;
                  // the system's, with the address.
                  { verbs.listen(address, listener_events) } -> std::same_as<Result<std::unique_ptr<typename V::Listener>>>;
                  // Finds the device that leads there; an event of `resolve_events` follows, always.
                  { verbs.resolve(route, resolve_events) };
                };

}  // namespace weft::verbs
