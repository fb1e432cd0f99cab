#include "core/buddy_allocator.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "core/poison.h"

namespace weft {

unsigned BuddyAllocator::order_of(size_t size) {
  const size_t units = (size + kUnit - 1) / kUnit;
  return unsigned(std::bit_width(units - 1));
}

BuddyAllocator::BuddyAllocator(std::span<std::byte> region)
    : region_(region), nodes_(region.size() / kUnit), state_(region.size() / kUnit) {
  WEFT_ASSERT(region.size() % kUnit == 0);
  free_.fill(kNone);
  // Cut the region into the largest aligned powers of two that fit.
  for (size_t unit = 0; unit < state_.size();) {
    const size_t left = state_.size() - unit;
    const auto aligned = unit == 0 ? kOrders - 1 : unsigned(std::countr_zero(unit));
    const unsigned order = std::min({unsigned(std::bit_width(left) - 1), aligned, kOrders - 1});
    push(uint32_t(unit), order);
    largest_ = std::max(largest_, kUnit << order);
    unit += size_t{1} << order;
  }
  forbid_access(region_);
}

BuddyAllocator::~BuddyAllocator() { permit_access(region_); }

void BuddyAllocator::push(uint32_t unit, unsigned order) {
  const uint32_t next = std::exchange(free_[order], unit);
  nodes_[unit] = {next, kNone};
  if (next != kNone) nodes_[next].previous = unit;
  state_[unit] = uint8_t(order + 1);
}

void BuddyAllocator::take_out(uint32_t unit, unsigned order) {
  const Node node = nodes_[unit];
  (node.previous != kNone ? nodes_[node.previous].next : free_[order]) = node.next;
  if (node.next != kNone) nodes_[node.next].previous = node.previous;
  state_[unit] = 0;
}

std::span<std::byte> BuddyAllocator::allocate(size_t size) {
  WEFT_ASSERT(size > 0);
  const unsigned wanted = order_of(size);
  unsigned order = wanted;
  while (order < kOrders && free_[order] == kNone) ++order;
  if (order >= kOrders) return {};
  const uint32_t unit = free_[order];
  take_out(unit, order);
  while (order > wanted) {
    --order;
    push(unit + (uint32_t{1} << order), order);
  }
  bytes_in_use_ += kUnit << wanted;
  const auto buffer = region_.subspan(unit * kUnit, size);
  mark_unfilled(buffer);
  return buffer;
}

void BuddyAllocator::free(std::span<std::byte> buffer) {
  WEFT_ASSERT(buffer.data() >= region_.data() && buffer.data() + buffer.size() <= region_.data() + region_.size());
  unsigned order = order_of(buffer.size());
  auto unit = uint32_t(unit_of(buffer));
  WEFT_ASSERT(state_[unit] == 0);
  WEFT_ASSERT(bytes_in_use_ >= kUnit << order);
  bytes_in_use_ -= kUnit << order;
  mark_freed(buffer);
  for (; order + 1 < kOrders; ++order) {
    const uint32_t buddy = unit ^ (uint32_t{1} << order);
    if (buddy >= state_.size() || state_[buddy] != order + 1) break;
    take_out(buddy, order);
    unit = std::min(unit, buddy);
  }
  push(unit, order);
}

}  // namespace weft
