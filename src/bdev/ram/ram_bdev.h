// A RAM disk: one region of memory. Completes inside submit(), but for zeroing large ranges, which is done in pieces, one per cycle. Lends its
// memory for reads, takes writes straight from a receive buffer. Accesses of different reactors to one block at the same time are not ordered
// (docs/adr/0005-lent-reads.md).
#pragma once
#include "bdev/bdev.h"
#include "core/memory.h"

namespace weft::bdev {

/// A zeroed disk of block_count blocks. Errors: kLimit when the memory cannot be had. `source` outlives the disk.
Result<std::unique_ptr<Bdev>> make_ram(MemorySource& source, std::string name, uint64_t block_count, uint32_t block_size);

struct RamSize {
  uint64_t block_count = 0;
  uint64_t blocks_available = 0;  // what it can grow to, at least block_count; memory that is never written is never touched
  uint32_t block_size = 512;      // bytes
};
/// One that can grow.
Result<std::unique_ptr<Bdev>> make_ram(MemorySource& source, std::string name, const RamSize& size);

}  // namespace weft::bdev
