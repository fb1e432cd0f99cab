#include "bdev/nvme/command_limits.h"

#include <algorithm>

#include "bdev/nvme/nvme_port.h"
#include "wire/nvme/command.h"

namespace weft::bdev {
namespace {

constexpr uint64_t kNlbMax = 1 << 16;           // blocks that NLB can say
constexpr uint64_t kDsmBlocksMax = 0xffffffff;  // and the length of a range
constexpr uint64_t kCopyRangesMax = nvme::kPageBytes / sizeof(nvme::CopyRange);  // that one page holds

/// Of writes and zeroing: one that is larger may become several commands.
uint64_t whole_blocks(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns) {
  const CommandLimits limits = limits_of(controller, ns);
  const uint64_t zeroing = controller.has_write_zeroes ? limits.zero : limits.fill_with_zeroes;
  return std::min({limits.transfer, BounceBuffers::kBytes / ns.block_size, zeroing});
}

/// The boundary that both say; a device that says none has none.
bool is_boundary_kept(uint32_t now, uint32_t promised) { return now == 0 || now == promised; }

}  // namespace

CommandLimits limits_of(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns) {
  const auto blocks = [&](uint64_t bytes) { return std::clamp<uint64_t>(bytes / ns.block_size, 1, kNlbMax); };
  CommandLimits limits{.transfer = blocks(controller.transfer_bytes_max),
                       .zero = blocks(controller.zeroes_bytes_max),
                       .deallocate = std::min<uint64_t>(kDsmBlocksMax, controller.deallocate_blocks_max),
                       .verify = blocks(controller.verify_bytes_max),
                       .copy_range = std::clamp<uint64_t>(ns.copy_range_blocks_max, 1, kNlbMax)};
  limits.fill_with_zeroes = std::min(limits.transfer, NvmePort::kZeroesBytes / ns.block_size);
  const uint64_t ranges = std::min<uint64_t>(ns.copy_ranges_max, kCopyRangesMax);
  limits.copy = std::clamp<uint64_t>(ns.copy_blocks_max, 1, ranges * limits.copy_range);
  return limits;
}

bool has_copy(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns) {
  return controller.has_copy && ns.copy_range_blocks_max != 0 && ns.copy_blocks_max != 0;
}

Atomicity atomicity_of(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns) {
  const uint64_t said = ns.atomic_blocks != 0 ? ns.atomic_blocks : controller.atomic_blocks;
  const uint64_t said_power_fail = ns.atomic_power_fail_blocks != 0 ? ns.atomic_power_fail_blocks : controller.atomic_power_fail_blocks;
  Atomicity atomicity;
  atomicity.blocks = uint32_t(std::min(said, whole_blocks(controller, ns)));
  atomicity.power_fail_blocks = uint32_t(std::min<uint64_t>(said_power_fail, atomicity.blocks));
  if (atomicity.blocks == 1) return {};  // one block crosses no boundary
  atomicity.boundary_blocks = ns.atomic_boundary_blocks;
  atomicity.power_fail_boundary_blocks = ns.atomic_power_fail_boundary_blocks;
  atomicity.boundary_offset = ns.atomic_boundary_offset;
  // A boundary lies within what is whole, or begins behind itself: this device is not to be believed. NVM Command Set 1.0 §2.1.4.
  const auto is_wrong = [&](uint32_t boundary, uint32_t blocks) { return boundary != 0 && (boundary < blocks || ns.atomic_boundary_offset > boundary); };
  if (is_wrong(atomicity.boundary_blocks, atomicity.blocks) || is_wrong(atomicity.power_fail_boundary_blocks, atomicity.power_fail_blocks)) return {};
  return atomicity;
}

bool keeps(const Atomicity& now, const Atomicity& promised) {
  if (promised.blocks == 1) return true;
  const bool has_boundary = now.boundary_blocks != 0 || now.power_fail_boundary_blocks != 0;
  return now.blocks >= promised.blocks && now.power_fail_blocks >= promised.power_fail_blocks &&
         is_boundary_kept(now.boundary_blocks, promised.boundary_blocks) &&
         is_boundary_kept(now.power_fail_boundary_blocks, promised.power_fail_boundary_blocks) &&
         (!has_boundary || now.boundary_offset == promised.boundary_offset);
}

}  // namespace weft::bdev
