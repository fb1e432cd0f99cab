// What a verified run knows of its part of the namespace: for each chunk (one I/O's worth of blocks) the last write that completed, and
// whether an I/O is on its way to it. Belongs to one connection; parts do not overlap, so what a read must return is always known.
#pragma once
#include <cstdint>
#include <vector>

namespace weft::host {

class ChunkLedger {
 public:
  explicit ChunkLedger(uint64_t chunks) : entries_(chunks) {}
  uint64_t size() const { return entries_.size(); }

  /// Marks the first free chunk at or after `wanted`, going round, as having an I/O on its way; returns it. Requires: fewer I/Os are on
  /// their way than there are chunks.
  uint64_t acquire(uint64_t wanted);
  /// The sequence of the last completed write of the chunk; 0: none in this run, or unknown after a failed one.
  uint64_t sequence(uint64_t chunk) const { return entries_[chunk] & ~kBusy; }
  /// The I/O has ended and the chunk holds what it held before.
  void release(uint64_t chunk) { entries_[chunk] &= ~kBusy; }
  /// A write has ended; `sequence` is its own if it succeeded, 0 if nobody knows what the chunk holds now.
  void release_written(uint64_t chunk, uint64_t sequence) { entries_[chunk] = sequence; }

 private:
  static constexpr uint64_t kBusy = uint64_t{1} << 63;
  std::vector<uint64_t> entries_;
};

}  // namespace weft::host
