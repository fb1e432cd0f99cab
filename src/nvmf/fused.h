// Fused Compare and Write: two adjacent commands of one queue that act as one, exclusive on their range over every shard. The pair runs when
// both have their data, whatever arrives when. NVMe Base 2.0 §3.4.2; NVM Command Set 1.0 §3.2.
#pragma once
#include <cstdint>

namespace weft::nvmf {

class Queue;
struct Command;

/// Blocks of one fused operation at most: ACWU + 1.
inline constexpr uint32_t kFusedBlocksMax = 16;

/// `command` is half of a pair whose data is there now. Runs the pair when the other half has its data too.
void fused_half_ready(Queue& queue, Command& command);

/// The compare of a pair found its range equal: the write runs, then the freeze ends. Requires: command.holds_freeze.
void fused_compare_equal(Command& command);

/// Ends the freeze that `command` holds. Requires: command.holds_freeze.
void thaw(Command& command);

}  // namespace weft::nvmf
