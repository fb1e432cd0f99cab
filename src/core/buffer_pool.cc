#include "core/buffer_pool.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/bits.h"

namespace weft {

struct BuddyAllocator::Node {
  Node* next;
  Node* previous;
};

unsigned BuddyAllocator::order_of(size_t size) {
  const size_t units = (size + kUnit - 1) / kUnit;
  return unsigned(std::bit_width(units - 1));
}

BuddyAllocator::BuddyAllocator(std::span<std::byte> region) : region_(region), state_(region.size() / kUnit) {
  WEFT_ASSERT(region.size() % kUnit == 0);
  // Cut the region into the largest aligned powers of two that fit.
  for (size_t unit = 0; unit < state_.size();) {
    const size_t left = state_.size() - unit;
    const auto aligned = unit == 0 ? kOrders - 1 : unsigned(std::countr_zero(unit));
    const unsigned order = std::min({unsigned(std::bit_width(left) - 1), aligned, kOrders - 1});
    push(unit, order);
    unit += size_t{1} << order;
  }
}

void BuddyAllocator::push(size_t unit, unsigned order) {
  auto* node = reinterpret_cast<Node*>(region_.data() + unit * kUnit);
  *node = {free_[order], nullptr};
  if (node->next != nullptr) node->next->previous = node;
  free_[order] = node;
  state_[unit] = uint8_t(order + 1);
}

BuddyAllocator::Node* BuddyAllocator::pop(unsigned order) {
  Node* node = free_[order];
  free_[order] = node->next;
  if (node->next != nullptr) node->next->previous = nullptr;
  state_[size_t(reinterpret_cast<std::byte*>(node) - region_.data()) / kUnit] = 0;
  return node;
}

std::span<std::byte> BuddyAllocator::allocate(size_t size) {
  WEFT_ASSERT(size > 0);
  const unsigned wanted = order_of(size);
  unsigned order = wanted;
  while (order < kOrders && free_[order] == nullptr) ++order;
  if (order >= kOrders) return {};
  auto* block = reinterpret_cast<std::byte*>(pop(order));
  const size_t unit = size_t(block - region_.data()) / kUnit;
  while (order > wanted) {
    --order;
    push(unit + (size_t{1} << order), order);
  }
  bytes_in_use_ += kUnit << wanted;
  return {block, size};
}

void BuddyAllocator::free(std::span<std::byte> buffer) {
  WEFT_ASSERT(buffer.data() >= region_.data() && buffer.data() + buffer.size() <= region_.data() + region_.size());
  unsigned order = order_of(buffer.size());
  size_t unit = size_t(buffer.data() - region_.data()) / kUnit;
  WEFT_ASSERT(state_[unit] == 0);
  WEFT_ASSERT(bytes_in_use_ >= kUnit << order);
  bytes_in_use_ -= kUnit << order;
  for (; order + 1 < kOrders; ++order) {
    const size_t buddy = unit ^ (size_t{1} << order);
    if (buddy >= state_.size() || state_[buddy] != order + 1) break;
    auto* node = reinterpret_cast<Node*>(region_.data() + buddy * kUnit);
    (node->previous != nullptr ? node->previous->next : free_[order]) = node->next;
    if (node->next != nullptr) node->next->previous = node->previous;
    state_[buddy] = 0;
    unit = std::min(unit, buddy);
  }
  push(unit, order);
}

BufferPool::BufferPool(std::array<Region, kShareCount> regions)
    : shares_{ShareState{std::move(regions[0])}, ShareState{std::move(regions[1])}, ShareState{std::move(regions[2])},
              ShareState{std::move(regions[3])}, ShareState{std::move(regions[4])}, ShareState{std::move(regions[5])}} {}

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
  return std::unique_ptr<BufferPool>(new BufferPool(std::move(regions)));
}

bool BufferPool::fits(Share share, size_t size) const { return size <= shares_[size_t(share)].region.bytes().size(); }

std::span<std::byte> BufferPool::try_allocate(Share share, size_t size) {
  ShareState& state = shares_[size_t(share)];
  return state.waiting.empty() ? state.allocator.allocate(size) : std::span<std::byte>{};
}

void BufferPool::wait(Share share, size_t size, BufferWaiter& waiter) {
  WEFT_ASSERT(fits(share, size));
  waiter.size_ = size;
  shares_[size_t(share)].waiting.push_back(waiter);
}

void BufferPool::cancel(BufferWaiter& waiter) {
  if (waiter.is_waiting()) waiter.link_.unlink();
}

void BufferPool::free(Share share, std::span<std::byte> buffer) { shares_[size_t(share)].allocator.free(buffer); }

size_t BufferPool::poll() {
  size_t served = 0;
  for (ShareState& share : shares_) {
    while (BufferWaiter* waiter = share.waiting.front()) {
      const auto buffer = share.allocator.allocate(waiter->size_);
      if (buffer.empty()) break;
      waiter->link_.unlink();
      waiter->on_buffer(buffer);
      ++served;
    }
  }
  return served;
}

}  // namespace weft
