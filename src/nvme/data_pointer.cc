#include "nvme/data_pointer.h"

#include "base/assert.h"

namespace weft::nvme {

Prps prps_for(uint64_t iova, uint64_t length, const PrpList& list) {
  WEFT_ASSERT(is_prp_aligned(iova));
  WEFT_ASSERT(length > 0);
  WEFT_ASSERT(length <= prp_bytes_max(iova));
  const uint64_t second = align_up(iova + 1, kPageBytes);  // the page after that of the first byte
  const uint64_t end = iova + length;
  if (end <= second) return {.prp1 = iova, .prp2 = 0};
  if (end - second <= kPageBytes) return {.prp1 = iova, .prp2 = second};
  size_t count = 0;
  for (uint64_t page = second; page < end; page += kPageBytes) list.entries[count++] = page;
  return {.prp1 = iova, .prp2 = list.iova};
}

SglDescriptor data_block(uint64_t iova, uint32_t length) {
  return {.address = iova, .length = length, .reserved = {}, .type = kSglDataBlock};
}

void set_data(Sqe& sqe, uint64_t iova, uint32_t length, const PrpList& list, DataPointers pointers) {
  const bool needs_list = iova % kPageBytes + length > 2 * kPageBytes;
  if (needs_list && pointers == DataPointers::kSgls) {
    sqe.flags = uint8_t(Psdt::kSglContiguousMetadata) << 6;
    sqe.sgl = data_block(iova, length);
  } else {
    set_prps(sqe, prps_for(iova, length, list));
  }
}

}  // namespace weft::nvme
