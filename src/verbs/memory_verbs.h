// RDMA inside one process and one thread, for tests: work requests really copy between registered regions, with keys, bounds and access checked,
// room in queues accounted, and every call counted. A MemoryFabric is the network and the device; each MemoryVerbs is one reactor's part of it,
// to be registered with that reactor. Work is done, and events come, in poll(). Single-threaded.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/poller.h"
#include "verbs/verbs.h"

namespace weft::verbs {

class MemoryVerbs;
class MemoryDomain;
class MemoryQueuePair;

/// What one MemoryVerbs was asked to do.
struct MemoryCounts {
  uint64_t send_posts = 0;  // calls
  uint64_t sends = 0, writes = 0, reads = 0, invalidations = 0;  // work requests; an invalidation is also a send
  uint64_t binds = 0, local_invalidations = 0;                   // of windows
  uint64_t send_completions = 0;  // polled
  uint64_t receive_posts = 0;     // calls
  uint64_t receives = 0;          // work requests
  uint64_t not_ready = 0;         // sends that found no receive at the peer and were tried again
  uint64_t reads_outstanding_max = 0;  // of one queue pair
};

/// A connection being made: shared by the handle and the queue pair that asks.
struct MemoryCall {
  Route route;
  MemoryQueuePair* client = nullptr;  // null: it has given up
  std::vector<std::byte> private_data;
  uint16_t answered_reads = 0;
};

/// A route, or a request. A request that dies unanswered is rejected.
class MemoryHandle {
 public:
  enum class Kind : uint8_t { kRoute, kRequest };
  MemoryHandle(Kind kind, std::shared_ptr<MemoryCall> call) : kind_(kind), call_(std::move(call)) {}
  MemoryHandle(MemoryHandle&&) noexcept = default;
  MemoryHandle& operator=(MemoryHandle&&) noexcept = default;
  ~MemoryHandle();
  void reject(std::span<const std::byte> private_data);
  std::shared_ptr<MemoryCall> take() { return std::move(call_); }

 private:
  Kind kind_;
  std::shared_ptr<MemoryCall> call_;
};

class MemoryListener {
 public:
  MemoryListener(MemoryVerbs& verbs, net::Address address, ListenerEvents<MemoryHandle>& events)
      : verbs_(verbs), address_(std::move(address)), events_(events) {}
  ~MemoryListener();
  const net::Address& address() const { return address_; }

 private:
  friend class MemoryQueuePair;
  MemoryVerbs& verbs_;
  net::Address address_;
  ListenerEvents<MemoryHandle>& events_;
};

/// The device and the network. Outlives every MemoryVerbs. Its members may be changed by tests before they matter.
class MemoryFabric {
 public:
  Device device{.name = "memory0"};
  bool is_establishment_held = false;  // the target's on_established() waits for release_established()
  bool is_drain_silent = false;      // on_drained() never comes
  /// The target's side learns of what was accepted while is_establishment_held.
  void release_established();
  /// Every connection ends, as if its peer had ended it. Returns how many queue pairs that were.
  size_t disconnect_all();
  /// The device is gone, for good: every connection ends, every domain hears of it, and no way leads anywhere.
  void remove_device();

 private:
  friend class MemoryVerbs;
  friend class MemoryDomain;
  friend class MemoryQueuePair;
  friend class MemoryListener;
  struct Registered {
    std::span<std::byte> bytes;
    int access;
    const MemoryDomain* domain;
    const MemoryQueuePair* pair = nullptr;  // of a window: whose peer may use it
  };
  /// The memory at `address`, if the key allows that access to a domain's memory, and over `pair` if it is a peer's; else null.
  std::byte* translate(uint32_t key, uint64_t address, size_t size, int access, const MemoryDomain& domain, const MemoryQueuePair* pair) const;
  /// False: the key is none of that queue pair's.
  bool invalidate(uint32_t key, const MemoryQueuePair& pair);

  std::map<uint32_t, Registered> regions_;  // by key
  std::map<uint32_t, MemoryQueuePair*> queue_pairs_;  // by number
  std::map<uint16_t, MemoryListener*> listeners_;     // by port
  std::vector<MemoryDomain*> domains_;
  std::vector<MemoryQueuePair*> unestablished_;
  bool is_removed_ = false;
  uint32_t next_key_ = 0x100;
  uint32_t next_window_key_ = 0x100000;  // the lowest byte is for who binds
  uint32_t next_number_ = 17;
  uint16_t next_port_ = 4420;
};

class MemoryDomain {
 public:
  MemoryDomain(MemoryVerbs& verbs, const DomainOptions& options, DomainEvents& events);
  ~MemoryDomain();
  const Device& device() const;
  uint32_t local_key(size_t region) const { return regions_.at(region)->lkey; }
  uint32_t remote_key(size_t region) const { return regions_.at(region)->rkey; }
  ibv_mr* memory_region(size_t region) const { return regions_.at(region).get(); }
  Posted post_receive(ibv_recv_wr* receives);
  int poll(std::span<ibv_wc> completions);
  void arm() { is_armed_ = true; }
  void set_receive_limit(uint32_t count) { receive_limit_ = count; }
  void close();

 private:
  friend class MemoryQueuePair;
  friend class MemoryFabric;
  struct Completion {
    ibv_wc wc;
    uint64_t sequence;  // of a send: what it frees in the send queue
    bool is_send;
  };
  void push(const Completion& completion);

  MemoryVerbs& verbs_;
  DomainOptions options_;
  DomainEvents& events_;
  std::vector<std::unique_ptr<ibv_mr>> regions_;
  std::deque<std::pair<uint64_t, ibv_sge>> receives_;  // wr_id and piece
  std::deque<Completion> completions_;
  uint32_t receive_limit_ = 0;
  bool is_armed_ = false;
};

class MemoryQueuePair {
 public:
  MemoryQueuePair(MemoryVerbs& verbs, MemoryDomain& domain, std::shared_ptr<MemoryCall> call, const QueuePairOptions& options, QueuePairEvents& events);
  ~MemoryQueuePair();
  uint32_t number() const { return number_; }
  ibv_mw& window(uint32_t index) { return windows_.at(index)->mw; }
  Posted post_send(ibv_send_wr* sends);
  void accept(const AcceptOptions& options);
  void connect(const ConnectOptions& options);
  void disconnect();
  void retire();

 private:
  friend class MemoryVerbs;
  friend class MemoryDomain;
  friend class MemoryFabric;
  friend class MemoryHandle;
  enum class State : uint8_t { kIdle, kConnecting, kConnected, kBroken, kEnded };
  struct Window {
    ibv_mw mw;
    uint32_t last_key;
  };
  struct Work {
    ibv_send_wr request;
    std::vector<ibv_sge> pieces;
    std::vector<std::byte> inline_data;
    uint64_t sequence;
  };
  enum class Done : uint8_t { kYes, kNotReady };

  size_t run();
  Done execute(Work& work);
  ibv_wc_status transfer(const Work& work, int remote_access, int local_access);
  ibv_wc_status bind(const ibv_send_wr& request);
  Done deliver(Work& work, ibv_wc_status& status);
  std::optional<std::vector<std::byte>> gather(const Work& work) const;
  void complete(const Work& work, ibv_wc_status status);
  void flush();
  void end(Ending::Kind kind, std::vector<std::byte> private_data);

  MemoryVerbs& verbs_;
  MemoryDomain& domain_;
  std::shared_ptr<MemoryCall> call_;
  QueuePairOptions options_;
  QueuePairEvents& events_;
  uint32_t number_;
  std::vector<std::unique_ptr<Window>> windows_;
  State state_ = State::kIdle;
  MemoryQueuePair* peer_ = nullptr;
  std::deque<Work> pending_;
  uint64_t posted_ = 0;  // work requests ever
  uint64_t freed_ = 0;   // of them known to be complete by polled completions
};

class MemoryVerbs final : public Poller {
 public:
  using Domain = MemoryDomain;
  using QueuePair = MemoryQueuePair;
  using Handle = MemoryHandle;
  using Listener = MemoryListener;

  explicit MemoryVerbs(MemoryFabric& fabric) : fabric_(fabric) {}
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
  friend class MemoryHandle;
  friend class MemoryFabric;
  friend class MemoryListener;
  void post(std::move_only_function<void()> event) { events_.push_back(std::move(event)); }

  MemoryFabric& fabric_;
  std::vector<MemoryQueuePair*> queue_pairs_;
  std::deque<std::move_only_function<void()>> events_;
};

}  // namespace weft::verbs
