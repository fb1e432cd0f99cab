// PDUs of a transcript to bytes, and bytes to PDUs: what the transcript does not say of a PDU (lengths, offsets,
// digests) is computed here, and checked in what comes. For tests only. | header hlen | hdgst? 4 | pad | data | ddgst?
// 4 |
#pragma once
#include "base/crc32c.h"
#include "transport/tcp/transcript_fields.h"

#include <fmt/format.h>

namespace weft::tcp::testing {

/// What ICReq and ICResp have settled.
struct Digests {
  bool has_header = false;
  bool has_data = false;
};

/// ICReq, ICResp and termination requests never have digests. NVMe/TCP 1.0a §3.6.2.
inline Digests digests_of(PduType type, Digests agreed) {
  const bool may_have = type != PduType::kIcReq && type != PduType::kIcResp && type != PduType::kH2cTermReq &&
                        type != PduType::kC2hTermReq;
  return may_have ? agreed : Digests{};
}

/// What a transcript says of the bytes around header and data of a PDU of the host.
struct Wrapping {
  size_t pad = 0;                   // bytes before the data, beyond what is needed
  uint32_t header_digest_flip = 0;  // added by exclusive or: a wrong digest
  uint32_t data_digest_flip = 0;
};
inline OrMessage<Wrapping> wrapping_of(const Step& step) {
  Wrapping wrapping;
  for (const Assignment& assignment : step.fields) {
    const bool is_wrong = assignment.value == "wrong";
    if (assignment.name == "pad") {
      const auto pad = number_of(assignment.value);
      if (!pad) return std::unexpected("not a number: " + assignment.value);
      wrapping.pad = *pad;
    } else if (assignment.name == "hdgst" && is_wrong) {
      wrapping.header_digest_flip = 1;
    } else if (assignment.name == "ddgst" && is_wrong) {
      wrapping.data_digest_flip = 1;
    } else if (assignment.name == "hdgst" || assignment.name == "ddgst") {
      return std::unexpected("a digest is computed or wrong: " + assignment.value);
    }
  }
  return wrapping;
}
inline bool is_wrapping(const Assignment& assignment) {
  return assignment.name == "pad" || assignment.name == "hdgst" || assignment.name == "ddgst";
}

/// The header that fits the data, before the transcript's own values are put in.
inline Bytes default_header(PduType type, size_t data_size, Digests digests, size_t pad) {
  Bytes header(form_of(type).header_size);
  const size_t with_digest = header.size() + (digests.has_header ? kDigestSize : 0);
  const bool has_data = data_size > 0;
  const bool has_data_digest = has_data && digests.has_data;
  const bool is_termination = type == PduType::kH2cTermReq;
  auto& common = reinterpret_cast<CommonHeader&>(*header.data());
  common.type = uint8_t(type);
  common.flags = uint8_t((digests.has_header ? kFlagHdgst : 0) | (has_data_digest ? kFlagDdgst : 0));
  common.hlen = uint8_t(header.size());
  common.pdo = has_data && !is_termination ? uint8_t(with_digest + pad) : 0;
  common.plen = uint32_t(with_digest + pad + data_size + (has_data_digest ? kDigestSize : 0));
  if (type == PduType::kCapsuleCmd) {
    auto& sqe = reinterpret_cast<CapsuleCmd&>(*header.data()).sqe;
    sqe.flags = uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6;
    sqe.sgl.type = has_data ? nvme::SglDescriptor::kDataBlockOffset : nvme::SglDescriptor::kTransportDataBlock;
    sqe.sgl.length = uint32_t(data_size);
  }
  if (type == PduType::kH2cData) reinterpret_cast<DataPdu&>(*header.data()).datal = uint32_t(data_size);
  return header;
}

/// The bytes of a step of the host.
inline OrMessage<Bytes> bytes_of_step(const Step& step, Digests agreed, Variables& variables) {
  const ValueReader read{variables, Unbound::kIsError};
  const auto wrapping = wrapping_of(step);
  if (!wrapping) return std::unexpected(wrapping.error());
  ParsedPdu pdu;
  for (const Assignment& assignment : step.fields) {
    if (!is_data(assignment)) continue;
    if (auto assigned = assign_data(pdu, assignment, read); !assigned) return std::unexpected(assigned.error());
  }
  const Digests digests = digests_of(step.type, agreed);
  pdu.header = default_header(step.type, pdu.data.size(), digests, wrapping->pad);
  for (const Assignment& assignment : step.fields) {
    if (is_data(assignment) || is_wrapping(assignment)) continue;
    if (auto assigned = assign_field(pdu, assignment, read); !assigned) return std::unexpected(assigned.error());
  }
  Bytes bytes = pdu.header;
  if (digests.has_header) add(bytes, le32{crc32c(pdu.header) ^ wrapping->header_digest_flip});
  bytes.resize(bytes.size() + wrapping->pad);
  bytes.insert(bytes.end(), pdu.data.begin(), pdu.data.end());
  if (digests.has_data && !pdu.data.empty()) add(bytes, le32{crc32c(pdu.data) ^ wrapping->data_digest_flip});
  return bytes;
}

/// The parts of a whole PDU that has come; says what is wrong with its lengths or digests.
inline OrMessage<ParsedPdu> parse_pdu(std::span<const std::byte> bytes, Digests agreed) {
  const auto& common = *view<CommonHeader>(bytes);
  const Digests digests = digests_of(PduType(common.type), agreed);
  const bool has_header_digest = (common.flags & kFlagHdgst) != 0;
  const bool has_data_digest = (common.flags & kFlagDdgst) != 0;
  const size_t header_end = common.hlen + (has_header_digest ? kDigestSize : 0);
  const size_t data_begin = common.pdo != 0 ? common.pdo : header_end;
  const size_t data_end = bytes.size() - (has_data_digest ? kDigestSize : 0);
  if (common.hlen < sizeof(CommonHeader) || header_end > data_begin || data_begin > data_end)
    return std::unexpected("lengths that do not fit");
  const auto data = bytes.subspan(data_begin, data_end - data_begin);
  if (has_header_digest != digests.has_header) return std::unexpected("HDGST is not as agreed");
  if (has_data_digest != (digests.has_data && !data.empty())) return std::unexpected("DDGST is not as agreed");
  const auto header = bytes.first(common.hlen);
  if (has_header_digest && load_le32(header.data() + header.size()) != crc32c(header))
    return std::unexpected("a wrong header digest");
  if (has_data_digest && load_le32(data.data() + data.size()) != crc32c(data))
    return std::unexpected("a wrong data digest");
  return ParsedPdu{{header.begin(), header.end()}, {data.begin(), data.end()}};
}

/// Why `got` is not `wanted`: both dumps, and the data around the first byte that differs.
inline std::string difference(const ParsedPdu& wanted, const ParsedPdu& got) {
  std::string text =
      fmt::format("\n  expected: {}\n  got:      {}", pdu_to_text(wanted.header), pdu_to_text(got.header));
  if (wanted.data == got.data) return text;
  const size_t at = size_t(std::ranges::mismatch(wanted.data, got.data).in1 - wanted.data.begin());
  const auto shown = [at](const Bytes& data) {
    std::string hex;
    for (size_t i = at; i < std::min(at + 16, data.size()); ++i) hex += fmt::format(" {:02x}", uint8_t(data[i]));
    return hex;
  };
  return text + fmt::format("\n  data, from byte {} of {} expected and {} that came:\n  expected:{}\n  got:     {}", at,
                            wanted.data.size(), got.data.size(), shown(wanted.data), shown(got.data));
}

}  // namespace weft::tcp::testing
