// Data buffers of one reactor, in shares that do not lend to each other, so that a holder in one never waits for a holder in the same one
// (docs/adr/0004-credits.md). Each share is a buddy allocator over its own region: contiguous buffers of a power of two from 4 KiB up.
// Who finds no room waits in order; the first in the queue is served first, whatever it needs, so nobody starves.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/intrusive_list.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/poller.h"

namespace weft {

enum class Share : uint8_t { kAdmin, kInCapsule, kTransfer, kRead, kScratch, kFused };
inline constexpr size_t kShareCount = 6;

/// A place in a share's queue; embedded in who waits.
class BufferWaiter {
 public:
  /// The buffer asked for. It is the waiter's, to be given back by free().
  virtual void on_buffer(std::span<std::byte> buffer) = 0;
  bool is_waiting() const { return link_.is_linked(); }

 protected:
  virtual ~BufferWaiter() = default;  // virtual for g++ 12, which warns because the friend could delete through it

 private:
  friend class BufferPool;
  Link link_;
  size_t size_ = 0;
};

class BuddyAllocator {
 public:
  static constexpr size_t kUnit = 4096;  // bytes, the smallest buffer
  /// Requires: region.size() is a multiple of kUnit. Does not own the region.
  explicit BuddyAllocator(std::span<std::byte> region);
  /// At least `size` bytes, exactly `size` long; empty when there is no room. Requires: 0 < size.
  std::span<std::byte> allocate(size_t size);
  /// Requires: `buffer` came from allocate() and was not given back.
  void free(std::span<std::byte> buffer);
  size_t bytes_in_use() const { return bytes_in_use_; }

 private:
  static constexpr unsigned kOrders = 20;
  struct Node;  // lies in the free memory itself
  static unsigned order_of(size_t size);
  Node* pop(unsigned order);
  void push(size_t unit, unsigned order);

  std::span<std::byte> region_;
  std::array<Node*, kOrders> free_{};
  std::vector<uint8_t> state_;  // per unit: order + 1 where a free block starts, 0 elsewhere
  size_t bytes_in_use_ = 0;
};

/// Registered with the reactor: waiters are served in poll(), not inside free(), so nobody is called back from where a buffer is freed.
class BufferPool final : public Poller {
 public:
  /// Maps every share. Errors: kLimit.
  static Result<std::unique_ptr<BufferPool>> create(MemorySource& source, const Limits& limits);
  ~BufferPool() override;

  /// A buffer now, or an empty span when there is none or others wait before.
  std::span<std::byte> try_allocate(Share share, size_t size);
  /// Requires: size fits the share at all (fits()); the waiter does not wait.
  void wait(Share share, size_t size, BufferWaiter& waiter);
  void cancel(BufferWaiter& waiter);
  void free(Share share, std::span<std::byte> buffer);
  bool fits(Share share, size_t size) const;
  size_t bytes_in_use(Share share) const { return shares_[size_t(share)].allocator.bytes_in_use(); }

  size_t poll() override;

 private:
  struct ShareState {  // built in place: neither moves nor copies
    explicit ShareState(Region r) : region(std::move(r)), allocator(region.bytes()) {}
    Region region;
    BuddyAllocator allocator;
    IntrusiveList<BufferWaiter, &BufferWaiter::link_> waiting;
  };
  explicit BufferPool(std::array<Region, kShareCount> regions);
  std::array<ShareState, kShareCount> shares_;
};

}  // namespace weft
