#include "core/buffer_pool.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/bits.h"
#include "base/simulation.h"

namespace weft {
namespace {

constexpr size_t kServedPerPoll = 256;  // buffers of one share, so that those who ask again at once do not keep the reactor

}  // namespace

bool BufferAccount::holds_nothing() const {
  return std::ranges::all_of(claims_, [](const Claim& claim) { return claim.buffers == 0; });
}

BufferPool::BufferPool(std::array<Region, kShareCount> regions, const Limits& limits)
    : shares_{ShareState{std::move(regions[0])}, ShareState{std::move(regions[1])}, ShareState{std::move(regions[2])},
              ShareState{std::move(regions[3])}, ShareState{std::move(regions[4])}, ShareState{std::move(regions[5])}} {
  // Buffers that a host can hold by doing nothing. What is in the others is in a device, or waits for one.
  for (const Share share : {Share::kAdmin, Share::kTransfer, Share::kRead}) {
    shares_[size_t(share)].account_part = limits.account_part;
  }
  shares_[size_t(Share::kFused)].granted_always = 2;  // a pair: with only one of them, neither half could run
}

BufferPool::~BufferPool() {
  for (const ShareState& share : shares_) WEFT_ASSERT(share.allocator.bytes_in_use() == 0);
}

Result<std::unique_ptr<BufferPool>> BufferPool::create(MemorySource& source, const Limits& limits) {
  const std::array<uint32_t, kShareCount> sizes{limits.admin_share_bytes,   limits.in_capsule_share_bytes, limits.transfer_share_bytes,
                                                limits.read_share_bytes, limits.scratch_share_bytes,
                                                limits.fused_share_bytes};
  std::array<Region, kShareCount> regions;
  for (size_t i = 0; i < kShareCount; ++i) {
    auto region = source.map(align_up(sizes[i], BuddyAllocator::kUnit), "data buffers");
    if (!region) return std::unexpected(region.error());
    regions[i] = std::move(*region);
  }
  return std::unique_ptr<BufferPool>(new BufferPool(std::move(regions), limits));
}

// --- accounts -------------------------------------------------------------------------------------------------------------------------------

BufferAccount& BufferPool::open_account() {
  accounts_.push_back(std::make_unique<BufferAccount>());
  accounts_.back()->index_ = accounts_.size() - 1;
  return *accounts_.back();
}

void BufferPool::close_account(BufferAccount& account) {
  for (const BufferAccount::Claim& claim : account.claims_) WEFT_ASSERT(claim.waiting.empty());
  account.is_closed_ = true;
  if (account.holds_nothing()) return destroy(account);
  WEFT_PROBE("core/account-outlives-its-owner");
}

void BufferPool::destroy(BufferAccount& account) {
  std::swap(accounts_[account.index_], accounts_.back());
  accounts_[account.index_]->index_ = account.index_;
  accounts_.pop_back();
}

// --- buffers --------------------------------------------------------------------------------------------------------------------------------

bool BufferPool::is_in_part(const ShareState& state, const Claim& claim, size_t bytes) {
  const size_t unused = state.allocator.bytes() - state.allocator.bytes_in_use();
  return bytes <= unused && (claim.bytes + bytes) * state.account_part <= unused - bytes;
}

bool BufferPool::may_take(const ShareState& state, const Claim& claim, size_t size) {
  return claim.buffers < state.granted_always || is_in_part(state, claim, BuddyAllocator::rounded(size));
}

bool BufferPool::has_waiters() const {
  return std::ranges::any_of(shares_, [](const ShareState& state) { return state.waiting_count > 0; });
}

bool BufferPool::has_room(const BufferAccount& account, Share share, size_t bytes) const {
  const ShareState& state = shares_[size_t(share)];
  return state.waiting.empty() && is_in_part(state, account.claims_[size_t(share)], bytes);
}

std::span<std::byte> BufferPool::allocate(ShareState& state, BufferAccount& account, Claim& claim, size_t size) {
  const auto buffer = state.allocator.allocate(size);
  if (buffer.empty()) return {};
  state.owners[state.allocator.unit_of(buffer)] = &account;
  claim.bytes += BuddyAllocator::rounded(size);
  ++claim.buffers;
  return buffer;
}

std::span<std::byte> BufferPool::try_allocate(BufferAccount& account, Share share, size_t size) {
  ShareState& state = shares_[size_t(share)];
  Claim& claim = account.claims_[size_t(share)];
  if (!state.waiting.empty() || !may_take(state, claim, size)) return {};
  return allocate(state, account, claim, size);
}

void BufferPool::free(Share share, std::span<std::byte> buffer) {
  ShareState& state = shares_[size_t(share)];
  BufferAccount* account = std::exchange(state.owners[state.allocator.unit_of(buffer)], nullptr);
  WEFT_ASSERT(account != nullptr);
  Claim& claim = account->claims_[size_t(share)];
  const size_t bytes = BuddyAllocator::rounded(buffer.size());
  WEFT_ASSERT(claim.buffers > 0 && claim.bytes >= bytes);
  claim.bytes -= bytes;
  --claim.buffers;
  state.allocator.free(buffer);
  state.has_news = true;
  if (account->is_closed_ && account->holds_nothing()) destroy(*account);
}

// --- waiting --------------------------------------------------------------------------------------------------------------------------------

void BufferPool::wait(BufferAccount& account, Share share, size_t size, BufferWaiter& waiter) {
  WEFT_ASSERT(fits(share, size));
  WEFT_ASSERT(!account.is_closed_);
  waiter.size_ = size;
  waiter.account_ = &account;
  waiter.share_ = share;
  ShareState& state = shares_[size_t(share)];
  Claim& claim = account.claims_[size_t(share)];
  claim.waiting.push_back(waiter);
  state.has_news = true;
  if (claim.turn.is_linked()) return;
  state.waiting.push_back(claim);
  ++state.waiting_count;
}

void BufferPool::cancel(BufferWaiter& waiter) {
  if (waiter.is_waiting()) stop_waiting(waiter);
}

/// Leaves the account at its place in the turn, unless nobody waits in it any more.
void BufferPool::stop_waiting(BufferWaiter& waiter) {
  ShareState& state = shares_[size_t(waiter.share_)];
  Claim& claim = waiter.account_->claims_[size_t(waiter.share_)];
  waiter.link_.unlink();
  state.has_news = true;  // it may have been the one that all others wait for
  if (!claim.waiting.empty()) return;
  claim.turn.unlink();
  --state.waiting_count;
}

size_t BufferPool::poll() {
  size_t served = 0;
  for (ShareState& share : shares_) served += serve(share);
  return served;
}

size_t BufferPool::serve(ShareState& state) {
  if (!std::exchange(state.has_news, false)) return 0;
  size_t served = 0;
  for (size_t passed_over = 0; passed_over < state.waiting_count;) {
    Claim& claim = *state.waiting.front();
    BufferWaiter& waiter = *claim.waiting.front();
    std::span<std::byte> buffer;
    if (may_take(state, claim, waiter.size_)) {
      buffer = allocate(state, *waiter.account_, claim, waiter.size_);
      if (buffer.empty()) {  // nobody overtakes it: what it needs comes together as others give back
        WEFT_PROBE("core/buffers-too-scattered");
        break;
      }
    }
    claim.turn.unlink();
    state.waiting.push_back(claim);
    if (buffer.empty()) {
      ++passed_over;
      continue;
    }
    passed_over = 0;
    stop_waiting(waiter);
    waiter.on_buffer(buffer);  // may destroy the waiter, and change everything here
    if (++served == kServedPerPoll) break;
  }
  return served;
}

}  // namespace weft
