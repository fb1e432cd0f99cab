// What a simulated disk is (its shape, for life) and how it behaves (its options, until told otherwise).
#pragma once
#include "base/time.h"
#include "media/media.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

namespace weft::sim {

struct DiskShape {
  std::string name;                      // in traces and findings
  uint64_t size_bytes = 64 << 20;        // whole physical blocks
  uint32_t physical_block_bytes = 4096;  // what a power cut keeps or loses as a whole; a power of two
  uint32_t atomic_bytes = 0;             // writes and zeroing of at most so many are done, seen and kept as a whole; 0: by physical blocks
  uint32_t atomic_boundary_bytes = 0;    // unless they cross a multiple of these; 0: there is no boundary
  media::Alignment alignment{.memory = 1, .offset = 512};
  bool has_volatile_cache = true;    // without one, what is written is stable when it is done
  bool discarded_reads_zero = true;  // else a discarded range keeps its contents
};

/// Bytes [offset, offset + length).
struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// The default has no faults. "One in" counts operations, drawn; 0: never.
struct DiskOptions {
  Duration latency_min = microseconds(10);
  Duration latency_spread = microseconds(90);  // uniform, on top
  uint64_t outlier_one_in = 0;
  Duration outlier = seconds(3);  // uniform up to it, on top
  bool reorders = true;  // operations overtake each other, and take effect block by block; else in order, at their end

  uint64_t short_one_in = 0;  // reads and writes that transfer less than asked
  uint64_t error_one_in = 0;
  std::vector<ByteRange> bad_ranges;     // what touches one fails
  int error_number = EIO;                // of both
  std::array<bool, 7> is_unsupported{};  // by media::Kind: EOPNOTSUPP, without effect
  uint64_t sync_error_one_in = 0;        // syncs fail from then on; what is unsynced is lost when the disk is opened anew
  uint64_t lost_one_in = 0;              // no completion until give_back_lost(), with or without the effect
};

/// What happened so far, for the report of a run.
struct DiskCounts {
  uint64_t completed = 0;
  uint64_t failed = 0;
  uint64_t short_transfers = 0;
  uint64_t syncs = 0;
  uint64_t failed_syncs = 0;
  uint64_t lost = 0;
  uint64_t power_cuts = 0;
};

}  // namespace weft::sim
