#include "host/data_area.h"

#include <functional>
#include <iterator>

#include "base/assert.h"

namespace weft::host {

DataArea::DataArea(Region region) : region_(std::move(region)) { gaps_.emplace(0, memory().size()); }

std::span<std::byte> DataArea::try_take(size_t size) {
  WEFT_ASSERT(size > 0);
  for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
    const auto [offset, length] = *gap;
    if (length < rounded(size)) continue;
    gaps_.erase(gap);
    if (length > rounded(size)) gaps_.emplace(offset + rounded(size), length - rounded(size));
    return memory().subspan(offset, size);
  }
  return {};
}

void DataArea::give_back(std::span<std::byte> piece) {
  if (piece.empty()) return;
  WEFT_ASSERT(contains(piece));
  const auto offset = size_t(piece.data() - memory().data());
  const auto [gap, is_new] = gaps_.emplace(offset, rounded(piece.size()));
  WEFT_ASSERT(is_new);
  const auto next = std::next(gap);
  if (next != gaps_.end()) {
    WEFT_ASSERT(gap->first + gap->second <= next->first);
    if (gap->first + gap->second == next->first) {
      gap->second += next->second;
      gaps_.erase(next);
    }
  }
  if (gap == gaps_.begin()) return;
  const auto before = std::prev(gap);
  WEFT_ASSERT(before->first + before->second <= gap->first);
  if (before->first + before->second != gap->first) return;
  before->second += gap->second;
  gaps_.erase(gap);
}

bool DataArea::contains(std::span<const std::byte> bytes) const {
  const std::less_equal<> is_up_to{};  // pointers into different objects have no other order
  return is_up_to(static_cast<const std::byte*>(memory().data()), bytes.data()) && is_up_to(bytes.data() + bytes.size(), static_cast<const std::byte*>(memory().data() + memory().size()));
}

}  // namespace weft::host
