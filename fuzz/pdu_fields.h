// Where the fields of each PDU lie, for the mutator: offset and width in bytes. The common header's come first and
// belong to all.
#pragma once
#include "wire/fabrics/connect.h"
#include "wire/tcp/pdu.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::fuzz {

/// What a field means, so that its value can be taken over from another PDU.
enum class Meaning : uint8_t { kOther, kCid, kTag, kOffset, kLength };

struct Field {
  uint16_t offset;
  uint8_t width;
  Meaning meaning = Meaning::kOther;
};

inline constexpr std::array kCommonFields{Field{0, 1}, Field{1, 1}, Field{2, 1}, Field{3, 1}, Field{4, 4}};
inline constexpr std::array kHandshakeFields{
    Field{offsetof(tcp::IcReq, pfv), 2},
    Field{offsetof(tcp::IcReq, hpda), 1},
    Field{offsetof(tcp::IcReq, dgst), 1},
    Field{offsetof(tcp::IcReq, maxr2t), 4},
};
inline constexpr std::array kTerminationFields{Field{offsetof(tcp::TermReq, fes), 2},
                                               Field{offsetof(tcp::TermReq, fei), 4}};
inline constexpr size_t kSqe = offsetof(tcp::CapsuleCmd, sqe);
inline constexpr std::array kCapsuleFields{
    Field{kSqe + offsetof(nvme::Sqe, opcode), 1},
    Field{kSqe + offsetof(nvme::Sqe, flags), 1},
    Field{kSqe + offsetof(nvme::Sqe, cid), 2, Meaning::kCid},
    Field{kSqe + offsetof(nvme::Sqe, nsid), 4},
    Field{kSqe + offsetof(fabrics::ConnectSqe, fctype), 1},
    Field{kSqe + offsetof(nvme::Sqe, sgl) + offsetof(nvme::SglDescriptor, address), 8},
    Field{kSqe + offsetof(nvme::Sqe, sgl) + offsetof(nvme::SglDescriptor, length), 4, Meaning::kLength},
    Field{kSqe + offsetof(nvme::Sqe, sgl) + offsetof(nvme::SglDescriptor, type), 1},
    Field{kSqe + offsetof(nvme::Sqe, cdw10), 4},
    Field{kSqe + offsetof(nvme::Sqe, cdw10), 1},
    Field{kSqe + offsetof(nvme::Sqe, cdw10) + 2, 2, Meaning::kCid},  // of an Abort
    Field{kSqe + offsetof(nvme::Sqe, cdw11), 4},
    Field{kSqe + offsetof(nvme::Sqe, cdw12), 4},
    Field{kSqe + offsetof(nvme::Sqe, cdw12), 2},
    Field{kSqe + offsetof(nvme::Sqe, cdw13), 4},
    Field{kSqe + offsetof(nvme::Sqe, cdw14), 4},
    Field{kSqe + offsetof(nvme::Sqe, cdw15), 4},
    Field{kSqe + offsetof(fabrics::ConnectSqe, qid), 2},
    Field{kSqe + offsetof(fabrics::ConnectSqe, sqsize), 2},
    Field{kSqe + offsetof(fabrics::ConnectSqe, cattr), 1},
    Field{kSqe + offsetof(fabrics::PropertySqe, ofst), 4},
    Field{kSqe + offsetof(fabrics::PropertySqe, value), 4},
};
inline constexpr size_t kCqe = offsetof(tcp::CapsuleResp, cqe);
inline constexpr std::array kResponseFields{
    Field{kCqe + offsetof(nvme::Cqe, dw0), 4},    Field{kCqe + offsetof(nvme::Cqe, sqhd), 2},
    Field{kCqe + offsetof(nvme::Cqe, sqid), 2},   Field{kCqe + offsetof(nvme::Cqe, cid), 2, Meaning::kCid},
    Field{kCqe + offsetof(nvme::Cqe, status), 2},
};
// R2T has the same fields at the same places.
inline constexpr std::array kDataFields{
    Field{offsetof(tcp::DataPdu, cccid), 2, Meaning::kCid},
    Field{offsetof(tcp::DataPdu, ttag), 2, Meaning::kTag},
    Field{offsetof(tcp::DataPdu, datao), 4, Meaning::kOffset},
    Field{offsetof(tcp::DataPdu, datal), 4, Meaning::kLength},
};

/// The fields behind the common header.
constexpr std::span<const Field> fields_of(uint8_t type) {
  switch (tcp::PduType(type)) {
    case tcp::PduType::kIcReq:
    case tcp::PduType::kIcResp:
      return kHandshakeFields;
    case tcp::PduType::kH2cTermReq:
    case tcp::PduType::kC2hTermReq:
      return kTerminationFields;
    case tcp::PduType::kCapsuleCmd:
      return kCapsuleFields;
    case tcp::PduType::kCapsuleResp:
      return kResponseFields;
    case tcp::PduType::kH2cData:
    case tcp::PduType::kC2hData:
    case tcp::PduType::kR2t:
      return kDataFields;
  }
  return {};
}

}  // namespace weft::fuzz
