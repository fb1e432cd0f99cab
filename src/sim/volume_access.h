// One command on a Volume, from its submission to its end: what the model has to know of it. Owned by who submits the
// command; must stay where it is until its end is reported.
#pragma once
#include "sim/block_history.h"

#include <cstdint>
#include <vector>

namespace weft::sim {

enum class AccessKind : uint8_t {
  kRead,
  kWrite,
  kWriteZeroes,
  kDeallocate,
  kCompare,
  kFused,  // Compare and Write as a pair
  kVerify,
  kCopy,
  kFlush,
};

struct Blocks {
  uint64_t first = 0;
  uint64_t count = 0;
  uint64_t end() const { return first + count; }
};

/// How a write is to last.
enum class Stability : uint8_t { kCached, kStable };

struct Access {
  AccessKind kind = AccessKind::kRead;
  uint32_t host = 0;                 // who submits it: one number for each association that a host keeps up
  Stability stability = Stability::kCached;  // FUA, or the host has switched the write cache off
  std::vector<Blocks> ranges;        // one; none for a flush; several for deallocate and for the sources of a copy
  uint64_t target = 0;               // of a copy: its first block; no source overlaps what it writes
  std::vector<Value> expected;       // of a compare or pair, by block
  bool may_be_aborted = false;       // an Abort for it was sent
  bool may_be_corrupted = false;     // bytes of its connection were corrupted on purpose

  // The Volume's, from begin() on.
  uint64_t id = kNoCommand;          // the sequence in the stamps that it writes
  Tick began = 0;
  uint64_t epoch = 0;

  uint64_t block_count() const;
  /// The block of the ranges that is the command's block `index`. Requires: index < block_count().
  uint64_t source(uint64_t index) const;
  bool changes_blocks() const;
  bool reads_blocks() const;
};

std::string to_text(const Access& access);

}  // namespace weft::sim
