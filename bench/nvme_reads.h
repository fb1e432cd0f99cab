// Reads through the NVMe driver and its block device, on the simulated controller, for instructions.cc.
#pragma once
#include <cstddef>

namespace weft::bench {

/// `commands` reads of 4 KiB to different places, `depth` at a time. Dies when one fails.
void run_nvme_reads(size_t commands, size_t depth);

}  // namespace weft::bench
