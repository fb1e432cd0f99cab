// A device that keeps nothing: writes vanish, reads give zeroes. For measuring the path in front of a device.
#pragma once
#include "bdev/bdev.h"
#include "core/memory.h"

namespace weft::bdev {

/// Reads up to `lend_bytes_max` bytes are lent from one shared region of zeroes. Errors: kLimit. `source` outlives the device.
Result<std::unique_ptr<Bdev>> make_null(MemorySource& source, std::string name, uint64_t block_count, uint32_t block_size,
                                        size_t lend_bytes_max);

}  // namespace weft::bdev
