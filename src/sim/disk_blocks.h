// The contents of a simulated disk, by physical block: what is stable, and for each block that was written since the
// last sync the values it took. Sparse: a block of zeroes costs nothing. No clock and no errors: sim/disk.h has those.
#pragma once
#include "base/prng.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

namespace weft::sim {

/// Which operation wrote a value: they are numbered in the order of submission, from 1.
using Writer = uint64_t;

/// What a power cut may do to a write: keep some of its blocks and lose others, or not.
enum class Tearing : uint8_t { kByBlock, kNever };

/// Who writes. A write that is never torn takes effect at once.
struct Author {
  Writer writer;
  Tearing tearing = Tearing::kByBlock;
};

/// What a sync covers: everything written by operations that were done when it was submitted.
struct Coverage {
  Writer end = 0;                 // the first one that was submitted later
  std::vector<Writer> under_way;  // those before it that were not done, ascending
  bool covers(Writer writer) const;
};

/// Which blocks of a range an access touches: block b is meant when bit b % 64 is set.
struct BlockMask {
  uint64_t bits = ~uint64_t{0};
  bool has(uint64_t block) const { return ((bits >> (block % 64)) & 1) != 0; }
};

class DiskBlocks {
 public:
  /// Requires: `block_bytes` is a power of two. All zero at first.
  explicit DiskBlocks(uint32_t block_bytes);

  /// The newest values of the masked blocks into their places in `out`; the rest of it stays as it is.
  void read(uint64_t offset, std::span<std::byte> out, BlockMask mask) const;
  void write(uint64_t offset, std::span<const std::byte> bytes, BlockMask mask, Author author);
  void zero(uint64_t offset, uint64_t length, BlockMask mask, Author author);

  /// What `writer` wrote in the range is stable, and so is what was there before it.
  void make_stable(uint64_t offset, uint64_t length, Writer writer);
  void sync(const Coverage& coverage);
  /// A sync that failed: each block whose newest value it would have covered keeps that value or falls back to an older
  /// one since the last sync, drawn; nothing of it is unsynced any more.
  void drop_unsynced(const Coverage& coverage, Prng& random);
  /// A power cut: as drop_unsynced(), of everything.
  void drop_unsynced(Prng& random);

  /// Blocks that a power cut may change.
  size_t unsynced() const { return unsynced_.size(); }
  /// Blocks that are not known to be zero: what the disk costs in memory.
  size_t stored() const { return blocks_.size(); }

 private:
  struct Value {
    std::unique_ptr<std::byte[]> bytes;  // null: zeroes
    Author author;                       // of the stable value, the writer means nothing
  };
  using Values = std::vector<Value>;  // by the time of effect: the stable one first, the newest last
  // A block that is written over and over gets its older values onto the medium by and by, as from a real cache.
  static constexpr size_t kValuesMax = 4;

  std::unique_ptr<std::byte[]> copy_of_newest(uint64_t block) const;
  void push(uint64_t block, std::unique_ptr<std::byte[]> bytes, Author author);
  using Kept = std::map<uint64_t, size_t>;  // the index of the value that stays, by block
  std::set<Writer> torn(const Kept& kept) const;
  void lose_torn(Kept& kept) const;
  void keep_torn(Kept& kept) const;
  void keep_from(uint64_t block, Values& values, size_t index);
  void keep_only(uint64_t block, Values& values, size_t index);
  void tidy(uint64_t block, const Values& values);

  uint32_t block_bytes_;
  std::map<uint64_t, Values> blocks_;
  std::set<uint64_t> unsynced_;  // those of blocks_ with more than one value
};

}  // namespace weft::sim
