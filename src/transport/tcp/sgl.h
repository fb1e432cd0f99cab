// What a command's SGL says about its data on NVMe/TCP: a data block in the capsule (01h) or one that PDUs move (5Ah). NVMe/TCP 1.0a §3.4.
#pragma once
#include "nvmf/transport_ops.h"
#include "wire/nvme/command.h"

namespace weft::tcp {

struct CapsuleData {
  size_t size;      // bytes that the capsule carries
  uint32_t size_max;  // bytes that this command may carry
};

/// A wrong SGL fails the command, not the connection: PLEN has told how far the PDU goes.
inline nvmf::DataDescriptor describe_data(const nvme::SglDescriptor& sgl, CapsuleData in_capsule) {
  using Kind = nvmf::DataDescriptor::Kind;
  const uint32_t length = sgl.length;
  const auto wrong = [length](nvme::Status status) {
    return nvmf::DataDescriptor{.kind = Kind::kNone, .length = length, .error = status.with_dnr()};
  };
  switch (sgl.type) {
    case nvme::SglDescriptor::kDataBlockOffset:
      if (uint64_t{sgl.address} != 0) return wrong(nvme::status::kSglOffsetInvalid);
      if (length != in_capsule.size || length > in_capsule.size_max) return wrong(nvme::status::kSglLengthInvalid);
      return {.kind = length > 0 ? Kind::kInCapsule : Kind::kNone, .length = length};
    case nvme::SglDescriptor::kTransportDataBlock:
      if (in_capsule.size > 0) return wrong(nvme::status::kSglLengthInvalid);
      return {.kind = length > 0 ? Kind::kRemote : Kind::kNone, .length = length};
    default: return wrong(nvme::status::kSglTypeInvalid);  // a byte from the host, not an enumerator of ours
  }
}

}  // namespace weft::tcp
