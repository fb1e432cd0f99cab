// Verbs in memory of a target whose instructions are counted: the same as verbs/memory_verbs.h, but what stands for the device and its library has
// names of its own here, by which instructions.py leaves it out. The host beside it uses the verbs in memory themselves.
#pragma once
#include <memory>
#include <span>
#include <utility>

#include "verbs/memory_verbs.h"

namespace weft::bench {

class CountedDomain {
 public:
  CountedDomain(verbs::MemoryVerbs& verbs, const verbs::Device& device, const verbs::DomainOptions& options, verbs::DomainEvents& events)
      : domain_(verbs.open(device, options, events)) {}
  const verbs::Device& device() const { return domain_->device(); }
  uint32_t local_key(size_t region) const { return domain_->local_key(region); }
  uint32_t remote_key(size_t region) const { return domain_->remote_key(region); }
  ibv_mr* memory_region(size_t region) const { return domain_->memory_region(region); }
  [[gnu::noinline]] verbs::Posted post_receive(ibv_recv_wr* receives) { return domain_->post_receive(receives); }
  [[gnu::noinline]] int poll(std::span<ibv_wc> completions) { return domain_->poll(completions); }
  void arm() { domain_->arm(); }
  void set_receive_limit(uint32_t count) { domain_->set_receive_limit(count); }
  void close() { domain_->close(); }
  verbs::MemoryDomain& in_memory() { return *domain_; }

 private:
  std::unique_ptr<verbs::MemoryDomain> domain_;
};

class CountedQueuePair {
 public:
  explicit CountedQueuePair(std::unique_ptr<verbs::MemoryQueuePair> pair) : pair_(std::move(pair)) {}
  uint32_t number() const { return pair_->number(); }
  ibv_mw& window(uint32_t index) { return pair_->window(index); }
  [[gnu::noinline]] verbs::Posted post_send(ibv_send_wr* sends) { return pair_->post_send(sends); }
  void accept(const verbs::AcceptOptions& options) { pair_->accept(options); }
  void connect(const verbs::ConnectOptions& options) { pair_->connect(options); }
  void disconnect() { pair_->disconnect(); }
  void retire() { pair_->retire(); }

 private:
  std::unique_ptr<verbs::MemoryQueuePair> pair_;
};

class CountedVerbs final : public Poller {
 public:
  using Domain = CountedDomain;
  using QueuePair = CountedQueuePair;
  using Handle = verbs::MemoryHandle;
  using Listener = verbs::MemoryListener;

  explicit CountedVerbs(verbs::MemoryFabric& fabric) : verbs_(fabric) {}
  std::unique_ptr<CountedDomain> open(const verbs::Device& device, const verbs::DomainOptions& options, verbs::DomainEvents& events) {
    return std::make_unique<CountedDomain>(verbs_, device, options, events);
  }
  std::unique_ptr<CountedQueuePair> adopt(CountedDomain& domain, Handle handle, const verbs::QueuePairOptions& options, verbs::QueuePairEvents& events) {
    return std::make_unique<CountedQueuePair>(verbs_.adopt(domain.in_memory(), std::move(handle), options, events));
  }
  void reject(Handle handle, std::span<const std::byte> private_data) { verbs_.reject(std::move(handle), private_data); }
  Result<std::unique_ptr<Listener>> listen(const net::Address& address, verbs::ListenerEvents<Handle>& events) { return verbs_.listen(address, events); }
  void resolve(const verbs::Route& route, verbs::ResolveEvents<Handle>& events) { verbs_.resolve(route, events); }
  size_t poll() override { return verbs_.poll(); }

 private:
  verbs::MemoryVerbs verbs_;
};

}  // namespace weft::bench
