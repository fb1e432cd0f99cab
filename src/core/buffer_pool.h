// Data buffers of one reactor, in shares that do not lend to each other, so that a holder in one never waits for a holder in the same one
// (docs/adr/0004-credits.md). Every buffer is charged to an account: whoever could hold many of them for long, one host's controller for
// example, has one. An account takes only a part of what is free, and accounts that wait are served in turn, so that no account can take a
// share from the others (docs/adr/0010-accounts-for-buffers.md).
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/intrusive_list.h"
#include "core/buddy_allocator.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/poller.h"

namespace weft {

enum class Share : uint8_t { kAdmin, kInCapsule, kTransfer, kRead, kScratch, kFused };
inline constexpr size_t kShareCount = 6;

class BufferAccount;

/// A place in an account's queue; embedded in who waits.
class BufferWaiter {
 public:
  /// The buffer asked for. It is the waiter's, to be given back by free().
  virtual void on_buffer(std::span<std::byte> buffer) = 0;
  bool is_waiting() const { return link_.is_linked(); }

 protected:
  virtual ~BufferWaiter() = default;  // virtual for g++ 12, which warns because the friend could delete through it

 private:
  friend class BufferAccount;
  friend class BufferPool;
  Link link_;
  size_t size_ = 0;
  BufferAccount* account_ = nullptr;
  Share share_{};
};

/// What one party holds and waits for, in every share. Made and destroyed by the pool.
class BufferAccount {
 public:
  size_t bytes_held(Share share) const { return claims_[size_t(share)].bytes; }

 private:
  friend class BufferPool;
  struct Claim {
    size_t bytes = 0;      // held, as the allocator rounds them
    uint32_t buffers = 0;  // held
    Link turn;             // in the share, while somebody waits
    IntrusiveList<BufferWaiter, &BufferWaiter::link_> waiting;
  };
  bool holds_nothing() const;

  std::array<Claim, kShareCount> claims_;
  size_t index_ = 0;  // in the pool's list
  bool is_closed_ = false;
};

/// Registered with the reactor: waiters are served in poll(), not inside free(), so nobody is called back from where a buffer is freed.
class BufferPool final : public Poller {
 public:
  /// Maps every share. Errors: kLimit.
  static Result<std::unique_ptr<BufferPool>> create(MemorySource& source, const Limits& limits);
  ~BufferPool() override;

  BufferAccount& open_account();
  /// The account is destroyed when it holds nothing any more. Requires: nobody waits in it.
  void close_account(BufferAccount& account);

  /// A buffer now, or an empty span: there is none, others wait, or the account has its part.
  std::span<std::byte> try_allocate(BufferAccount& account, Share share, size_t size);
  /// Requires: size fits the share at all (fits()); the waiter does not wait.
  void wait(BufferAccount& account, Share share, size_t size, BufferWaiter& waiter);
  void cancel(BufferWaiter& waiter);
  void free(Share share, std::span<std::byte> buffer);

  bool fits(Share share, size_t size) const { return shares_[size_t(share)].allocator.fits(size); }
  /// Whether `account` would get `bytes` more, in buffers of the smallest size.
  bool has_room(const BufferAccount& account, Share share, size_t bytes) const;
  /// Somebody waits for a buffer of any share.
  bool has_waiters() const;
  /// All memory of a share, for who must register it with a device. Stays in place as long as the pool.
  std::span<std::byte> region(Share share) const { return shares_[size_t(share)].region.bytes(); }
  size_t bytes_in_use(Share share) const { return shares_[size_t(share)].allocator.bytes_in_use(); }

  size_t poll() override;

 private:
  using Claim = BufferAccount::Claim;
  struct ShareState {  // built in place: neither moves nor copies
    explicit ShareState(Region r) : region(std::move(r)), allocator(region.bytes()), owners(allocator.bytes() / BuddyAllocator::kUnit) {}
    Region region;
    BuddyAllocator allocator;
    std::vector<BufferAccount*> owners;         // by the first unit of a buffer in use
    IntrusiveList<Claim, &Claim::turn> waiting;  // whose turn it is comes first
    size_t waiting_count = 0;
    uint32_t account_part = 1;    // an account takes one part in so many of what is free
    uint32_t granted_always = 1;  // buffers that an account may have whatever is free
    bool has_news = false;        // since the last poll(): somebody may be served now who could not be
  };
  BufferPool(std::array<Region, kShareCount> regions, const Limits& limits);
  static bool is_in_part(const ShareState& state, const Claim& claim, size_t bytes);
  static bool may_take(const ShareState& state, const Claim& claim, size_t size);
  static std::span<std::byte> allocate(ShareState& state, BufferAccount& account, Claim& claim, size_t size);
  size_t serve(ShareState& state);
  void stop_waiting(BufferWaiter& waiter);
  void destroy(BufferAccount& account);

  std::array<ShareState, kShareCount> shares_;
  std::vector<std::unique_ptr<BufferAccount>> accounts_;
};

}  // namespace weft
