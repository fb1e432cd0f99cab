// Stamped blocks: each logical block says which run wrote it, when in that run, and where it belongs, and carries a CRC32C over all of
// itself, so that a wrong, stale, torn or misplaced block is found when it is read.
//   | magic 8 | run 8 | sequence 8 | LBA 8 | crc32c 4 | pattern of sequence and LBA … |   (the CRC with its own field as zero)
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weft::host {

struct Stamp {
  uint64_t run;       // drawn at random for each run
  uint64_t sequence;  // of the write in its run, from 1
  uint64_t lba;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// Fills `block` for `stamp`. Requires: at least 64 bytes, a multiple of 8.
void write_stamp(std::span<std::byte> block, const Stamp& stamp);

enum class StampCheck : uint8_t {
  kGood,
  kNone,     // no stamp of ours: it was never written by a run, or its first bytes are lost
  kCorrupt,  // a stamp whose CRC does not match the block
};

struct StampReading {
  StampCheck check;
  Stamp stamp;  // what the block says; meaningless for kNone
};

/// Reads and checks a block. Requires: as write_stamp().
StampReading read_stamp(std::span<const std::byte> block);

}  // namespace weft::host
