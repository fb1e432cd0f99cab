#include "sim/disk_blocks.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace weft::sim {
namespace {

/// The part of one block that a range touches.
struct Piece {
  uint64_t block;
  uint32_t start;     // in the block
  uint32_t length;    // bytes
  uint64_t position;  // in the range
};

template <typename F>
void for_each_piece(uint64_t offset, uint64_t length, uint32_t block_bytes, BlockMask mask, F f) {
  for (uint64_t position = 0; position < length;) {
    const uint64_t block = (offset + position) / block_bytes;
    const auto start = uint32_t((offset + position) % block_bytes);
    const auto count = uint32_t(std::min<uint64_t>(block_bytes - start, length - position));
    if (mask.has(block)) f(Piece{block, start, count, position});
    position += count;
  }
}

}  // namespace

bool Coverage::covers(Writer writer) const {
  return writer < end && !std::binary_search(under_way.begin(), under_way.end(), writer);
}

DiskBlocks::DiskBlocks(uint32_t block_bytes) : block_bytes_(block_bytes) {
  WEFT_ASSERT(std::has_single_bit(block_bytes));
}

void DiskBlocks::read(uint64_t offset, std::span<std::byte> out, BlockMask mask) const {
  for_each_piece(offset, out.size(), block_bytes_, mask, [&](const Piece& piece) {
    const auto found = blocks_.find(piece.block);
    std::byte* target = out.data() + piece.position;
    if (found == blocks_.end() || found->second.back().bytes == nullptr) {
      std::memset(target, 0, piece.length);
    } else {
      std::memcpy(target, found->second.back().bytes.get() + piece.start, piece.length);
    }
  });
}

void DiskBlocks::write(uint64_t offset, std::span<const std::byte> bytes, BlockMask mask, Author author) {
  for_each_piece(offset, bytes.size(), block_bytes_, mask, [&](const Piece& piece) {
    auto value = piece.length == block_bytes_ ? std::make_unique_for_overwrite<std::byte[]>(block_bytes_)
                                              : copy_of_newest(piece.block);
    std::memcpy(value.get() + piece.start, bytes.data() + piece.position, piece.length);
    push(piece.block, std::move(value), author);
  });
}

void DiskBlocks::zero(uint64_t offset, uint64_t length, BlockMask mask, Author author) {
  // Ranges are long and disks mostly empty: by the blocks that there are, not by those of the range.
  const uint64_t end = offset + length;
  for (auto at = blocks_.lower_bound(offset / block_bytes_); at != blocks_.end() && at->first * block_bytes_ < end;
       ++at) {
    const uint64_t block_start = at->first * block_bytes_;
    if (!mask.has(at->first)) continue;
    if (at->second.size() == 1 && at->second.back().bytes == nullptr) continue;
    const uint64_t from = std::max(offset, block_start);
    const uint64_t to = std::min(end, block_start + block_bytes_);
    std::unique_ptr<std::byte[]> value;
    if (to - from < block_bytes_) {
      value = copy_of_newest(at->first);
      std::memset(value.get() + (from - block_start), 0, to - from);
    }
    push(at->first, std::move(value), author);
  }
}

std::unique_ptr<std::byte[]> DiskBlocks::copy_of_newest(uint64_t block) const {
  auto copy = std::make_unique_for_overwrite<std::byte[]>(block_bytes_);
  read(block * block_bytes_, {copy.get(), block_bytes_}, {});
  return copy;
}

void DiskBlocks::push(uint64_t block, std::unique_ptr<std::byte[]> bytes, Author author) {
  Values& values = blocks_[block];
  if (values.empty()) values.push_back({nullptr, {0}});  // it was zero, and that is stable
  values.push_back({std::move(bytes), author});
  if (values.size() > kValuesMax) values.erase(values.begin());
  unsynced_.insert(block);
}

void DiskBlocks::make_stable(uint64_t offset, uint64_t length, Writer writer) {
  const uint64_t end = offset + length;
  for (auto at = unsynced_.lower_bound(offset / block_bytes_); at != unsynced_.end() && *at * block_bytes_ < end;) {
    const uint64_t block = *at++;
    Values& values = blocks_.at(block);
    for (size_t i = values.size(); i-- > 1;) {
      if (values[i].author.writer != writer) continue;
      keep_from(block, values, i);
      break;
    }
  }
}

void DiskBlocks::sync(const Coverage& coverage) {
  for (auto at = unsynced_.begin(); at != unsynced_.end();) {
    const uint64_t block = *at++;
    Values& values = blocks_.at(block);
    for (size_t i = values.size(); i-- > 1;) {
      if (!coverage.covers(values[i].author.writer)) continue;
      keep_from(block, values, i);
      break;
    }
  }
}

void DiskBlocks::drop_unsynced(const Coverage& coverage, Prng& random) {
  for (auto at = unsynced_.begin(); at != unsynced_.end();) {
    const uint64_t block = *at++;
    Values& values = blocks_.at(block);
    if (coverage.covers(values.back().author.writer)) keep_only(block, values, size_t(random.below(values.size())));
  }
}

void DiskBlocks::drop_unsynced(Prng& random) {
  Kept kept;
  for (const uint64_t block : unsynced_) kept[block] = size_t(random.below(blocks_.at(block).size()));
  // What would be torn is lost, or else kept; where some of it has been stable for long, it can only be kept.
  if (!torn(kept).empty() && random.one_in(2)) lose_torn(kept);
  keep_torn(kept);
  for (const auto& [block, index] : kept) keep_only(block, blocks_.at(block), index);
}

/// The writes that are never torn, and of which one block has the value while another one has an older one.
std::set<Writer> DiskBlocks::torn(const Kept& kept) const {
  std::set<Writer> seen, missed;
  for (const auto& [block, index] : kept) {
    const Values& values = blocks_.at(block);
    if (values[index].author.tearing == Tearing::kNever) seen.insert(values[index].author.writer);
    for (size_t newer = index + 1; newer < values.size(); ++newer) missed.insert(values[newer].author.writer);
  }
  std::erase_if(seen, [&](Writer writer) { return !missed.contains(writer); });
  return seen;
}

void DiskBlocks::lose_torn(Kept& kept) const {
  for (bool has_lost = true; has_lost;) {
    has_lost = false;
    const std::set<Writer> lost = torn(kept);
    for (auto& [block, index] : kept) {
      if (index == 0 || !lost.contains(blocks_.at(block)[index].author.writer)) continue;
      --index;
      has_lost = true;
    }
  }
}

void DiskBlocks::keep_torn(Kept& kept) const {
  for (std::set<Writer> half = torn(kept); !half.empty(); half = torn(kept)) {
    for (auto& [block, index] : kept) {
      const Values& values = blocks_.at(block);
      for (size_t newer = values.size() - 1; newer > index; --newer) {
        if (half.contains(values[newer].author.writer)) index = newer;
      }
    }
  }
}

/// The value at `index` is the stable one now.
void DiskBlocks::keep_from(uint64_t block, Values& values, size_t index) {
  values.erase(values.begin(), values.begin() + ptrdiff_t(index));
  tidy(block, values);
}

void DiskBlocks::keep_only(uint64_t block, Values& values, size_t index) {
  values.resize(index + 1);
  keep_from(block, values, index);
}

/// Forgets what need not be kept of a block: that it is unsynced when it is not, and all of it when it is zero.
void DiskBlocks::tidy(uint64_t block, const Values& values) {
  if (values.size() > 1) return;
  unsynced_.erase(block);
  if (values.back().bytes == nullptr) blocks_.erase(block);
}

}  // namespace weft::sim
