#include "platform/linux/iova_space.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace weft::platform {
namespace {

constexpr uint64_t kLowest = 2 << 20;

uint64_t align(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

}  // namespace

IovaSpace::IovaSpace(std::vector<Range> usable) {
  for (const Range& range : usable) {
    const uint64_t first = align(std::max(range.first, kLowest), kPage);
    const uint64_t beyond = range.last == UINT64_MAX ? range.last & ~(kPage - 1) : (range.last + 1) & ~(kPage - 1);
    if (first < beyond) free_.emplace(first, beyond);
  }
}

std::optional<uint64_t> IovaSpace::take(uint64_t size, uint64_t alignment) {
  WEFT_ASSERT(size > 0 && size % kPage == 0 && alignment >= kPage);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [first, beyond] = *it;
    const uint64_t start = align(first, alignment);
    if (start < first || start > beyond || beyond - start < size) continue;
    free_.erase(it);
    if (first < start) free_.emplace(first, start);
    if (start + size < beyond) free_.emplace(start + size, beyond);
    return start;
  }
  return std::nullopt;
}

void IovaSpace::give_back(uint64_t first, uint64_t size) {
  uint64_t beyond = first + size;
  auto next = free_.lower_bound(first);
  WEFT_ASSERT(next == free_.end() || beyond <= next->first);
  if (next != free_.end() && next->first == beyond) {
    beyond = next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    WEFT_ASSERT(before->second <= first);
    if (before->second == first) {
      before->second = beyond;
      return;
    }
  }
  free_.emplace(first, beyond);
}

}  // namespace weft::platform
