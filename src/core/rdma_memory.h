// What RDMA locks, from the limits: for who registers it, and for who says beforehand whether that is allowed.
#pragma once
#include <algorithm>

#include "core/limits.h"

namespace weft {

/// A capsule over RDMA: its command, and in-capsule data or a list of descriptors (sixteen of 16 bytes).
constexpr uint64_t rdma_capsule_bytes(const Limits& limits) { return 64 + std::max<uint64_t>(limits.rdma_in_capsule_bytes, 256); }
/// Memory that is locked for each reactor and RDMA device that hosts come over: capsules, and the shares that a device moves data to and from.
constexpr uint64_t rdma_locked_bytes(const Limits& limits) {
  return limits.rdma_receives * rdma_capsule_bytes(limits) + limits.admin_share_bytes + limits.transfer_share_bytes + limits.read_share_bytes +
         limits.fused_share_bytes;
}

}  // namespace weft
