#include "pci/dma_map.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::pci {
namespace {

uintptr_t address(std::span<const std::byte> bytes) { return reinterpret_cast<uintptr_t>(bytes.data()); }

bool is_below(std::span<const std::byte> a, std::span<const std::byte> b) { return address(a) < address(b); }

}  // namespace

void DmaMap::add(std::span<std::byte> bytes, uint64_t iova) {
  const auto at = std::ranges::upper_bound(ranges_, bytes, is_below, &Range::bytes);
  WEFT_ASSERT(at == ranges_.end() || address(bytes) + bytes.size() <= address(at->bytes));
  WEFT_ASSERT(at == ranges_.begin() || address((at - 1)->bytes) + (at - 1)->bytes.size() <= address(bytes));
  ranges_.insert(at, {bytes, iova});
}

void DmaMap::remove(std::span<std::byte> bytes) {
  const auto found = std::ranges::find(ranges_, bytes.data(), [](const Range& range) { return range.bytes.data(); });
  WEFT_ASSERT(found != ranges_.end());
  WEFT_ASSERT(found->bytes.size() == bytes.size());
  ranges_.erase(found);
}

std::optional<uint64_t> DmaMap::find(std::span<const std::byte> bytes) const {
  const auto after = std::ranges::upper_bound(ranges_, bytes, is_below, &Range::bytes);
  if (after == ranges_.begin()) return std::nullopt;
  const Range& range = *(after - 1);
  const uint64_t offset = address(bytes) - address(range.bytes);
  if (offset + bytes.size() > range.bytes.size()) return std::nullopt;
  return range.iova + offset;
}

std::span<std::byte> DmaMap::memory(uint64_t iova, size_t size) const {
  for (const Range& range : ranges_) {
    if (iova >= range.iova && size <= range.bytes.size() && iova - range.iova <= range.bytes.size() - size)
      return range.bytes.subspan(iova - range.iova, size);
  }
  return {};
}

}  // namespace weft::pci
