#include "wire/rdma/segment.h"

#include "base/assert.h"

namespace weft::rdma {

using nvme::SglDescriptor;

// | address 8 | length 3 | key 4 | type 1 |: the key starts where SglDescriptor has the length's last byte.

bool is_keyed(const SglDescriptor& descriptor) {
  return descriptor.type == SglDescriptor::kKeyedDataBlock || descriptor.type == SglDescriptor::kKeyedDataBlockInvalidate;
}

Segment segment_of(const SglDescriptor& descriptor) {
  WEFT_ASSERT(is_keyed(descriptor));
  const uint32_t low = descriptor.length;
  const auto byte = [&](size_t i) { return uint32_t(descriptor.reserved[i]); };
  return {.address = descriptor.address,
          .length = low & kSegmentBytesMax,
          .key = low >> 24 | byte(0) << 8 | byte(1) << 16 | byte(2) << 24,
          .is_to_invalidate = descriptor.type == SglDescriptor::kKeyedDataBlockInvalidate};
}

SglDescriptor descriptor_of(const Segment& segment) {
  WEFT_ASSERT(segment.length <= kSegmentBytesMax);
  SglDescriptor descriptor{};
  descriptor.address = segment.address;
  descriptor.length = segment.length | segment.key << 24;
  for (size_t i = 0; i < descriptor.reserved.size(); ++i) descriptor.reserved[i] = std::byte(segment.key >> (8 * (i + 1)));
  descriptor.type = segment.is_to_invalidate ? SglDescriptor::kKeyedDataBlockInvalidate : SglDescriptor::kKeyedDataBlock;
  return descriptor;
}

}  // namespace weft::rdma
