// Dumps of NVMe/TCP PDUs.
#include "base/bytes.h"
#include "wire/print.h"
#include "wire/print_lines.h"

#include <fmt/format.h>

namespace weft::tcp {
namespace {

constexpr BitName kFlagNames[] = {
    {kFlagHdgst, "HDGST"}, {kFlagDdgst, "DDGST"}, {kFlagLast, "LAST"}, {kFlagSuccess, "SUCCESS"}};
constexpr BitName kDigestNames[] = {{kDigestHeader, "header"}, {kDigestData, "data"}};

/// The dump of `bytes` as a T, or of their common header when they are too short for one.
template <typename T>
std::string view_to_text(std::span<const std::byte> bytes, const CommonHeader& header) {
  const T* pdu = view<T>(bytes);
  return pdu != nullptr ? to_text(*pdu) : fmt::format("{} (cut at {} bytes)", to_text(header), bytes.size());
}

}  // namespace

std::string_view name_of(PduType type) {
  switch (type) {
    case PduType::kIcReq:
      return "ICReq";
    case PduType::kIcResp:
      return "ICResp";
    case PduType::kH2cTermReq:
      return "H2CTermReq";
    case PduType::kC2hTermReq:
      return "C2HTermReq";
    case PduType::kCapsuleCmd:
      return "CapsuleCmd";
    case PduType::kCapsuleResp:
      return "CapsuleResp";
    case PduType::kH2cData:
      return "H2CData";
    case PduType::kC2hData:
      return "C2HData";
    case PduType::kR2t:
      return "R2T";
  }
  return "Unknown";
}

std::string_view name_of(Fes fes) {
  switch (fes) {
    case Fes::kInvalidHeaderField:
      return "Invalid PDU Header Field";
    case Fes::kSequenceError:
      return "PDU Sequence Error";
    case Fes::kHeaderDigestError:
      return "Header Digest Error";
    case Fes::kDataTransferOutOfRange:
      return "Data Transfer Out of Range";
    case Fes::kDataTransferLimitExceeded:
      return "Data Transfer Limit Exceeded";
    case Fes::kUnsupportedParameter:
      return "Unsupported Parameter";
  }
  return "Unknown";
}

std::string to_text(const CommonHeader& header) {
  return fmt::format("{} ({:02x}h) flags {:#04x}{} hlen {} pdo {} plen {}", name_of(PduType(header.type)), header.type,
                     header.flags, bit_names(header.flags, kFlagNames), header.hlen, header.pdo, header.plen);
}

std::string to_text(const IcReq& pdu) {
  return fmt::format("{} pfv {} hpda {} dgst {:#04x}{} maxr2t {}", to_text(pdu.ch), pdu.pfv, pdu.hpda, pdu.dgst,
                     bit_names(pdu.dgst, kDigestNames), pdu.maxr2t);
}

std::string to_text(const IcResp& pdu) {
  return fmt::format("{} pfv {} cpda {} dgst {:#04x}{} maxh2cdata {}", to_text(pdu.ch), pdu.pfv, pdu.cpda, pdu.dgst,
                     bit_names(pdu.dgst, kDigestNames), pdu.maxh2cdata);
}

std::string to_text(const TermReq& pdu) {
  return fmt::format("{} fes {} ({}) fei {:#x}", to_text(pdu.ch), pdu.fes, name_of(Fes(uint16_t{pdu.fes})), pdu.fei);
}

std::string to_text(const CapsuleCmd& pdu) { return fmt::format("{} {}", to_text(pdu.ch), to_text(pdu.sqe)); }

std::string to_text(const CapsuleResp& pdu) { return fmt::format("{} {}", to_text(pdu.ch), to_text(pdu.cqe)); }

std::string to_text(const DataPdu& pdu) {
  return fmt::format("{} cccid {:#06x} ttag {:#06x} datao {} datal {}", to_text(pdu.ch), pdu.cccid, pdu.ttag, pdu.datao,
                     pdu.datal);
}

std::string to_text(const R2t& pdu) {
  return fmt::format("{} cccid {:#06x} ttag {:#06x} r2to {} r2tl {}", to_text(pdu.ch), pdu.cccid, pdu.ttag, pdu.r2to,
                     pdu.r2tl);
}

std::string pdu_to_text(std::span<const std::byte> bytes) {
  const CommonHeader* header = view<CommonHeader>(bytes);
  if (header == nullptr) return fmt::format("{} bytes: {}", bytes.size(), hex(bytes));
  switch (PduType(header->type)) {
    case PduType::kIcReq:
      return view_to_text<IcReq>(bytes, *header);
    case PduType::kIcResp:
      return view_to_text<IcResp>(bytes, *header);
    case PduType::kH2cTermReq:
    case PduType::kC2hTermReq:
      return view_to_text<TermReq>(bytes, *header);
    case PduType::kCapsuleCmd:
      return view_to_text<CapsuleCmd>(bytes, *header);
    case PduType::kCapsuleResp:
      return view_to_text<CapsuleResp>(bytes, *header);
    case PduType::kH2cData:
    case PduType::kC2hData:
      return view_to_text<DataPdu>(bytes, *header);
    case PduType::kR2t:
      return view_to_text<R2t>(bytes, *header);
  }
  return to_text(*header);
}

}  // namespace weft::tcp
