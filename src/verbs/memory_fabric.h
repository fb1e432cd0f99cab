// The network and the devices of a MemoryVerbs: what connects the queue pairs of one process. As it stands, for unit tests: everything happens at the
// next poll of anybody, and one device is everybody's. The simulator's fabric (sim/rdma_fabric.h) gives each machine a device and says when each thing
// happens, and what is lost. Everything else is here once: order, keys, room in queues, flushes, the connection manager. Single-threaded.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "verbs/memory_keys.h"
#include "verbs/memory_tap.h"
#include "verbs/verbs.h"

namespace weft::verbs {

class MemoryVerbs;
class MemoryDomain;
class MemoryQueuePair;
class MemoryListener;
struct MemoryCall;

/// A way through the network. Whatever has the same lane arrives in order.
struct MemoryLeg {
  enum class Kind : uint8_t { kRequest, kOther };  // a connection request, which may be lost
  size_t from = 0;  // machines
  size_t to = 0;
  uint32_t lane = 0;  // the sending queue pair; 0: messages of the connection manager, which may overtake each other
  Kind kind = Kind::kOther;
};

class MemoryFabric {
 public:
  using Action = std::move_only_function<void()>;

  MemoryFabric();
  /// Outlives every MemoryVerbs, but those of processes that are forgotten.
  virtual ~MemoryFabric();
  MemoryFabric(const MemoryFabric&) = delete;
  MemoryFabric& operator=(const MemoryFabric&) = delete;

  // --- for tests, before it matters
  Device device{.name = "memory0"};
  bool is_establishment_held = false;  // the target's on_established() waits for release_established()
  bool is_drain_silent = false;        // on_drained() never comes
  bool is_silent = false;              // nothing that is sent from now on arrives
  /// The target's side learns of what was accepted while is_establishment_held.
  void release_established();

  // --- what goes wrong
  /// Every connection ends, as if its peer had ended it. Returns how many queue pairs that were.
  size_t disconnect_all();
  /// The device of all is gone, for good: every connection ends, every domain hears of it, and no way leads anywhere.
  void remove_device();

 protected:
  /// `arrive` is called when what is sent has come to the other end; never, when it is lost.
  virtual void carry(const MemoryLeg& leg, Action arrive);
  /// A device has something to do.
  virtual void soon(size_t machine, Action action);
  /// What blocks is done: in order, on each machine.
  virtual void control(size_t machine, Action action);
  /// `receiver` had no receive for a message of `sender`, which tries again.
  virtual void not_ready(size_t sender, size_t receiver, Action again);
  /// All that a queue pair has taken out of the shared receive queue has completed; `tell` says so.
  virtual void drained(size_t machine, Action tell);
  /// Null: there is none now.
  virtual const Device* device_of(size_t machine);
  virtual size_t machine_of(const net::Address& address) const;
  virtual net::Address address_of(size_t machine) const;
  virtual Instant now() const { return {}; }
  /// For each connection that is accepted. Null: nobody looks.
  virtual std::shared_ptr<MemoryTap> tap(size_t /*client*/, size_t /*server*/, const MemoryConnection&) { return nullptr; }
  /// A user of the verbs has broken a rule of theirs.
  virtual void broken(const std::string& what);
  /// A device has refused a use of memory: a wrong key, too little room. Its queue pair fails for it.
  virtual void refused(const std::string& /*what*/) {}

  // --- what goes wrong, for who overrides the above
  /// The process is gone: nothing of it is touched again, its objects need not be destroyed. Its peers hear of it when the machine still speaks.
  enum class Death : uint8_t { kTold, kSilent };
  void forget(size_t machine, Death death);
  /// Everything on the machine's device ends. The caller lets device_of() say so first.
  void remove_device_of(size_t machine);
  /// The queue pair, and its peer, end as after a disconnection that nobody asked for.
  void break_pair(uint32_t number);
  /// The connections of the machine end, and the other ends are not told.
  void drop_pairs_of(size_t machine);
  /// What was sent before `since` and not answered fails, and its queue pair with it; so do connection requests.
  void give_up(Instant since);
  /// Queue pairs of which the other end may know, by number.
  std::vector<uint32_t> connected() const;
  size_t machine_of_pair(uint32_t number) const;
  /// Whether `server` holds a connection of `client` to be there that the other end has lost.
  bool is_half_open(size_t server, size_t client) const;
  size_t open_pairs() const { return pairs_.size(); }
  size_t open_domains() const { return domains_.size(); }

 private:
  friend class MemoryVerbs;
  friend class MemoryDomain;
  friend class MemoryQueuePair;
  friend class MemoryListener;
  friend class MemoryHandle;

  MemoryQueuePair* find(uint32_t number) const;
  MemoryDomain* find_domain(uint64_t id) const;
  /// Does what waits, until nothing does. Returns how much that was.
  size_t pump();
  void request(const std::shared_ptr<MemoryCall>& call);
  void reject(const MemoryCall& call, std::vector<std::byte> private_data);

  MemoryKeys keys_;
  std::map<uint64_t, MemoryVerbs*> verbs_;        // by id
  std::map<uint64_t, MemoryDomain*> domains_;     // open, by id
  std::map<uint32_t, MemoryQueuePair*> pairs_;    // in the device, by number
  std::map<std::pair<size_t, uint16_t>, MemoryListener*> listeners_;  // by machine and port
  std::vector<uint32_t> unestablished_;
  std::deque<Action> actions_;
  std::deque<Action> retries_;
  bool is_removed_ = false;
  uint64_t next_id_ = 1;
  uint32_t next_number_ = 17;
  uint16_t next_port_ = 4420;
};

}  // namespace weft::verbs
