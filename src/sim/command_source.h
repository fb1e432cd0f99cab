// Draws I/O commands for a Workload: what a legal host may send, and now and then what it may not. Pure: no queue, no
// time.
#pragma once
#include "base/prng.h"
#include "sim/volume.h"
#include "wire/nvme/command.h"

#include <optional>

namespace weft::sim {

/// How often each kind is drawn, relative to the others, and on what.
struct CommandMix {
  unsigned read = 30;
  unsigned write = 30;
  unsigned flush = 6;
  unsigned write_zeroes = 4;
  unsigned deallocate = 4;
  unsigned compare = 6;
  unsigned fused = 8;
  unsigned verify = 3;
  unsigned copy = 4;
  unsigned invalid = 3;
  uint64_t hot_blocks = 16;  // at the start of each namespace; half of the commands touch them
  unsigned large_one_in = 64;  // commands of any size up to the controller's limit; the others are up to 64 KiB
};

/// What one Copy may have, from Identify Namespace. All 0: no Copy is drawn.
struct CopyBounds {
  uint32_t ranges = 0;
  uint32_t range_blocks = 0;
  uint32_t blocks = 0;
};

/// What the commands have to keep to.
struct CommandBounds {
  uint64_t transfer_bytes = 0;  // MDTS
  uint32_t fused_blocks = 1;    // ACWU
  CopyBounds copy;
  bool has_write_cache = true;  // false: the host has switched it off, and every write is stable
};

/// One command, or a pair: what is sent, and what the model is told.
struct DrawnCommand {
  Volume* volume = nullptr;
  Access access;                    // of a command that must fail: not told to the volume
  nvme::Sqe first{};
  std::optional<nvme::Sqe> second;  // of a pair
  size_t out_bytes = 0;             // of each half of a pair
  size_t in_bytes = 0;
  std::vector<std::byte> ranges;    // of Dataset Management and Copy, in the place of blocks
  std::optional<nvme::Status> due;  // it must fail with this
};

/// A Read of these blocks.
DrawnCommand read_command(Volume& volume, uint32_t host, Blocks blocks);
DrawnCommand draw_command(Prng& prng, Volume& volume, uint32_t host, const CommandMix& mix, const CommandBounds& bounds);

}  // namespace weft::sim
