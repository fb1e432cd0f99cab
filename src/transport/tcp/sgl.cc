#include "transport/tcp/sgl.h"

namespace weft::tcp {
namespace {

using nvmf::DataDescriptor;

DataDescriptor wrong(uint32_t length, nvme::Status status) {
  return {.kind = DataDescriptor::Kind::kNone, .length = length, .error = status.with_dnr()};
}

}  // namespace

DataDescriptor describe_data(const nvme::SglDescriptor& sgl, CapsuleData in_capsule) {
  const uint32_t length = sgl.length;
  switch (sgl.type) {
    case nvme::SglDescriptor::kDataBlockOffset:
      if (uint64_t{sgl.address} != 0) return wrong(length, nvme::status::kSglOffsetInvalid);
      if (length != in_capsule.size || length > in_capsule.size_max) return wrong(length, nvme::status::kSglLengthInvalid);
      return {.kind = length > 0 ? DataDescriptor::Kind::kInCapsule : DataDescriptor::Kind::kNone, .length = length};
    case nvme::SglDescriptor::kTransportDataBlock:
      if (in_capsule.size > 0) return wrong(length, nvme::status::kSglLengthInvalid);
      return {.kind = length > 0 ? DataDescriptor::Kind::kRemote : DataDescriptor::Kind::kNone, .length = length};
    default: return wrong(length, nvme::status::kSglTypeInvalid);  // a byte from the host, not an enumerator of ours
  }
}

}  // namespace weft::tcp
