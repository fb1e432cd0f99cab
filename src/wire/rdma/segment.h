// A keyed SGL descriptor as what it means: a piece of the host's memory and the key by which RDMA reaches it.
// NVM Express Base 2.0 §4.1.2 (keyed SGL Data Block).
#pragma once
#include <cstdint>

#include "wire/nvme/command.h"

namespace weft::rdma {

inline constexpr uint32_t kSegmentBytesMax = (1u << 24) - 1;

struct Segment {
  uint64_t address;
  uint32_t length;  // bytes, at most kSegmentBytesMax
  uint32_t key;     // what an RDMA READ or WRITE names
  bool is_to_invalidate;  // the host asks for it: descriptor 4Fh
};

/// Whether the descriptor is one of the two keyed ones.
bool is_keyed(const nvme::SglDescriptor& descriptor);
/// Requires: is_keyed(descriptor).
Segment segment_of(const nvme::SglDescriptor& descriptor);
/// Requires: segment.length <= kSegmentBytesMax.
nvme::SglDescriptor descriptor_of(const Segment& segment);

}  // namespace weft::rdma
