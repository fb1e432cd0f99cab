// What a command's SGL says about its data on NVMe/RDMA: in the capsule (01h), one keyed block of the host's memory (40h, 4Fh), or a list of such
// blocks that lies in the capsule (31h). NVMe/RDMA 1.0a §2.3; NVMe Base 2.0 §4.1.2. Pure functions over bytes of the peer.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nvmf/transport_ops.h"
#include "wire/rdma/segment.h"

namespace weft::rdma {

struct SglReading {
  nvmf::DataDescriptor descriptor;
  std::span<const std::byte> in_capsule{};          // kInCapsule: the data
  std::span<const nvme::SglDescriptor> segments{};  // kRemote: in the SQE or in the capsule, of checked types; 1..kRdmaDescriptorsMax
};

/// `sqe` and the bytes of its capsule that follow it; the result refers to both. What is wrong fails the command, not the connection.
SglReading read_sgl(const nvme::Sqe& sqe, std::span<const std::byte> after_sqe, uint32_t in_capsule_max);

}  // namespace weft::rdma
