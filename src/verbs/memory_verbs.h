// RDMA inside one process and one thread: work requests really copy between registered regions, with keys, bounds and access checked, room in
// queues accounted, and every call counted. A MemoryFabric is the network and the devices; each MemoryVerbs is one reactor's part of it, to be
// registered with that reactor. For unit tests as it is; in the simulator over a fabric that has time and faults. Single-threaded.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "core/poller.h"
#include "verbs/memory_domain.h"
#include "verbs/memory_fabric.h"
#include "verbs/memory_queue_pair.h"
#include "verbs/verbs.h"

namespace weft::verbs {

/// What one MemoryVerbs was asked to do.
struct MemoryCounts {
  uint64_t send_posts = 0;  // calls
  uint64_t sends = 0, writes = 0, reads = 0, invalidations = 0;  // work requests done; an invalidation is also a send
  uint64_t binds = 0, local_invalidations = 0;                   // of windows
  uint64_t send_completions = 0;  // polled
  uint64_t receive_posts = 0;     // calls
  uint64_t receives = 0;          // work requests
  uint64_t not_ready = 0;         // sends that found no receive at the peer and were tried again
  uint64_t reads_outstanding_max = 0;  // of one queue pair
};

/// A route, or a request. A request that dies unanswered is rejected.
class MemoryHandle {
 public:
  enum class Kind : uint8_t { kRoute, kRequest };
  MemoryHandle(Kind kind, std::shared_ptr<MemoryCall> call) : kind_(kind), call_(std::move(call)) {}
  MemoryHandle(MemoryHandle&&) noexcept = default;
  MemoryHandle& operator=(MemoryHandle&&) noexcept = default;
  ~MemoryHandle() {
    if (call_ != nullptr && kind_ == Kind::kRequest) reject({});
  }
  /// Requires: it is a request.
  void reject(std::span<const std::byte> private_data);
  Kind kind() const { return kind_; }
  std::shared_ptr<MemoryCall> take() { return std::move(call_); }

 private:
  Kind kind_;
  std::shared_ptr<MemoryCall> call_;
};

class MemoryListener {
 public:
  MemoryListener(MemoryVerbs& verbs, net::Address address, ListenerEvents<MemoryHandle>& events);
  ~MemoryListener();
  MemoryListener(const MemoryListener&) = delete;
  MemoryListener& operator=(const MemoryListener&) = delete;
  const net::Address& address() const { return address_; }

 private:
  friend class MemoryFabric;
  MemoryVerbs& verbs_;
  net::Address address_;
  ListenerEvents<MemoryHandle>& events_;
};

class MemoryVerbs final : public Poller {
 public:
  using Domain = MemoryDomain;
  using QueuePair = MemoryQueuePair;
  using Handle = MemoryHandle;
  using Listener = MemoryListener;

  /// `wake`: called when there is something to poll. Outlives: `fabric` outlives the verbs.
  explicit MemoryVerbs(MemoryFabric& fabric, size_t machine = 0, std::function<void()> wake = {});
  ~MemoryVerbs() override;
  MemoryVerbs(const MemoryVerbs&) = delete;
  MemoryVerbs& operator=(const MemoryVerbs&) = delete;

  std::unique_ptr<MemoryDomain> open(const Device& device, const DomainOptions& options, DomainEvents& events);
  std::unique_ptr<MemoryQueuePair> adopt(MemoryDomain& domain, MemoryHandle handle, const QueuePairOptions& options, QueuePairEvents& events);
  void reject(MemoryHandle handle, std::span<const std::byte> private_data) { handle.reject(private_data); }
  Result<std::unique_ptr<MemoryListener>> listen(const net::Address& address, ListenerEvents<MemoryHandle>& events);
  void resolve(const Route& route, ResolveEvents<MemoryHandle>& events);

  size_t poll() override;
  MemoryCounts counts;
  std::optional<Error> open_error;  // what opening a domain fails with

 private:
  friend class MemoryDomain;
  friend class MemoryQueuePair;
  friend class MemoryFabric;
  friend class MemoryListener;
  void post(MemoryFabric::Action event);

  MemoryFabric& fabric_;
  uint64_t id_;
  size_t machine_;
  std::function<void()> wake_;
  std::deque<MemoryFabric::Action> events_;
};

}  // namespace weft::verbs
