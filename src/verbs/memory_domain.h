// A domain of a MemoryVerbs: registered memory, one completion queue, one shared receive queue. Receives hold a pattern until they are filled, so
// that memory touched while it is the device's shows.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "verbs/memory_fabric.h"
#include "verbs/verbs.h"

namespace weft::verbs {

class MemoryDomain {
 public:
  MemoryDomain(MemoryVerbs& verbs, const Device& device, const DomainOptions& options, DomainEvents& events);
  ~MemoryDomain();
  MemoryDomain(const MemoryDomain&) = delete;
  MemoryDomain& operator=(const MemoryDomain&) = delete;

  const Device& device() const { return device_; }
  uint32_t local_key(size_t region) const { return regions_.at(region)->lkey; }
  uint32_t remote_key(size_t region) const { return regions_.at(region)->rkey; }
  ibv_mr* memory_region(size_t region) const { return regions_.at(region).get(); }
  Posted post_receive(ibv_recv_wr* receives);
  int poll(std::span<ibv_wc> completions);
  void arm() { is_armed_ = true; }
  void set_receive_limit(uint32_t count) { receive_limit_ = count; }
  void close();

 private:
  friend class MemoryVerbs;
  friend class MemoryFabric;
  friend class MemoryQueuePair;
  struct Receive {
    uint64_t wr_id;
    ibv_sge piece;
  };
  struct Completion {
    ibv_wc wc;
    uint64_t sequence = 0;    // of a send: what it frees in the send queue
    bool is_send = false;
    std::span<std::byte> message{};  // of a receive that has succeeded
  };
  enum class Life : uint8_t { kOpening, kOpen, kClosing };

  void open(std::optional<Error> error);
  void push(const Completion& completion);
  Receive take_receive();
  void removed();

  MemoryVerbs& verbs_;
  MemoryFabric& fabric_;
  const Device& device_;
  DomainOptions options_;
  DomainEvents& events_;
  uint64_t id_;
  Life life_ = Life::kOpening;
  std::vector<std::unique_ptr<ibv_mr>> regions_;
  std::deque<Receive> receives_;
  std::deque<Completion> completions_;
  uint32_t receive_limit_ = 0;
  bool is_armed_ = false;
};

}  // namespace weft::verbs
