#include "transport/rdma/sgl.h"

namespace weft::rdma {
namespace {

using nvme::SglDescriptor;
using nvmf::DataDescriptor;
namespace status = nvme::status;

SglReading wrong(uint32_t length, nvme::Status why) {
  return {.descriptor = {.kind = DataDescriptor::Kind::kNone, .length = length, .error = why.with_dnr()}};
}

SglReading in_capsule(const SglDescriptor& sgl, std::span<const std::byte> after_sqe, uint32_t in_capsule_max) {
  const uint64_t offset = sgl.address;
  const uint32_t length = sgl.length;
  if (offset > after_sqe.size()) return wrong(length, status::kSglOffsetInvalid);
  if (length > after_sqe.size() - offset || length > in_capsule_max) return wrong(length, status::kSglLengthInvalid);
  if (length == 0) return {};
  return {.descriptor = {.kind = DataDescriptor::Kind::kInCapsule, .length = length}, .in_capsule = after_sqe.subspan(offset, length)};
}

SglReading keyed(std::span<const SglDescriptor> segments) {
  uint32_t length = 0;  // 16 segments of less than 16 MiB do not overflow it
  for (const SglDescriptor& segment : segments) {
    if (!is_keyed(segment)) return wrong(length, status::kSglTypeInvalid);
    length += segment_of(segment).length;
  }
  if (length == 0) return {};
  return {.descriptor = {.kind = DataDescriptor::Kind::kRemote, .length = length}, .segments = segments};
}

SglReading list(const SglDescriptor& sgl, std::span<const std::byte> after_sqe) {
  const uint64_t offset = sgl.address;
  const uint32_t size = sgl.length;
  if (size == 0 || size % sizeof(SglDescriptor) != 0) return wrong(0, status::kInvalidSglSegment);
  if (size / sizeof(SglDescriptor) > nvmf::kRdmaDescriptorsMax) return wrong(0, status::kInvalidSglCount);
  if (offset > after_sqe.size() || size > after_sqe.size() - offset) return wrong(0, status::kSglOffsetInvalid);
  // Descriptors have no alignment: they are bytes and little-endian fields of bytes.
  return keyed({reinterpret_cast<const SglDescriptor*>(after_sqe.data() + offset), size / sizeof(SglDescriptor)});
}

}  // namespace

SglReading read_sgl(const nvme::Sqe& sqe, std::span<const std::byte> after_sqe, uint32_t in_capsule_max) {
  switch (sqe.sgl.type) {
    case SglDescriptor::kDataBlockOffset: return in_capsule(sqe.sgl, after_sqe, in_capsule_max);
    case SglDescriptor::kKeyedDataBlock:
    case SglDescriptor::kKeyedDataBlockInvalidate: return keyed({&sqe.sgl, 1});
    case SglDescriptor::kLastSegmentOffset: return list(sqe.sgl, after_sqe);
    default: return wrong(uint32_t{sqe.sgl.length}, status::kSglTypeInvalid);  // a byte from the host, not an enumerator of ours
  }
}

}  // namespace weft::rdma
