// A PDU of either side taken apart and put together again with right lengths, flags and digests, so that a changed
// field is what the receiver sees and not a broken frame. | header hlen | hdgst? 4 | pad | data | ddgst? 4 |
#pragma once
#include "base/bytes.h"
#include "base/crc32c.h"
#include "fuzz/pdu_script.h"
#include "wire/tcp/pdu.h"

#include <cstring>
#include <optional>

namespace weft::fuzz {

/// What ICReq and ICResp have settled.
struct Digests {
  bool header = false;
  bool data = false;
};

inline constexpr Digests digests_of_dgst(uint8_t dgst) {
  return {(dgst & tcp::kDigestHeader) != 0, (dgst & tcp::kDigestData) != 0};
}

struct PduParts {
  Bytes header;  // the common header first; without its digest
  Bytes data;
};

/// Bytes of the header of a PDU of that type; 0: there is no such type.
inline size_t header_size_of(uint8_t type) {
  switch (tcp::PduType(type)) {
    case tcp::PduType::kIcReq:
      return sizeof(tcp::IcReq);
    case tcp::PduType::kIcResp:
      return sizeof(tcp::IcResp);
    case tcp::PduType::kH2cTermReq:
    case tcp::PduType::kC2hTermReq:
      return sizeof(tcp::TermReq);
    case tcp::PduType::kCapsuleCmd:
      return sizeof(tcp::CapsuleCmd);
    case tcp::PduType::kCapsuleResp:
      return sizeof(tcp::CapsuleResp);
    case tcp::PduType::kH2cData:
    case tcp::PduType::kC2hData:
      return sizeof(tcp::DataPdu);
    case tcp::PduType::kR2t:
      return sizeof(tcp::R2t);
  }
  return 0;
}

/// Handshakes and terminations never have digests. NVMe/TCP 1.0a §3.6.2.
inline bool may_have_digests(uint8_t type) {
  const auto pdu = tcp::PduType(type);
  return header_size_of(type) > 0 && pdu != tcp::PduType::kIcReq && pdu != tcp::PduType::kIcResp &&
         pdu != tcp::PduType::kH2cTermReq && pdu != tcp::PduType::kC2hTermReq;
}

/// The parts of the PDU that `bytes` are, as far as its lengths make sense; null when its header is not there.
inline std::optional<PduParts> take_apart(std::span<const std::byte> bytes, Digests agreed) {
  const auto* common = view<tcp::CommonHeader>(bytes);
  const size_t header_size = common == nullptr ? 0 : header_size_of(common->type);
  if (header_size == 0 || bytes.size() < header_size) return std::nullopt;
  const Digests digests = may_have_digests(common->type) ? agreed : Digests{};
  const size_t header_end = header_size + (digests.header ? tcp::kDigestSize : 0);
  const size_t begin = std::min(std::max<size_t>(header_end, common->pdo), bytes.size());
  const size_t trailer = digests.data && bytes.size() > begin + tcp::kDigestSize ? tcp::kDigestSize : 0;
  const auto data = bytes.subspan(begin, bytes.size() - begin - trailer);
  return PduParts{{bytes.begin(), bytes.begin() + ptrdiff_t(header_size)}, {data.begin(), data.end()}};
}

/// Requires: the header is one that take_apart() gives. Data PDUs also get their DATAL.
inline Bytes put_together(PduParts parts, Digests agreed) {
  tcp::CommonHeader common;
  std::memcpy(&common, parts.header.data(), sizeof common);
  const Digests digests = may_have_digests(common.type) ? agreed : Digests{};
  const size_t header_end = parts.header.size() + (digests.header ? tcp::kDigestSize : 0);
  const bool has_data = !parts.data.empty();
  const bool has_data_digest = has_data && digests.data;
  const bool is_termination =
      tcp::PduType(common.type) == tcp::PduType::kH2cTermReq || tcp::PduType(common.type) == tcp::PduType::kC2hTermReq;
  common.flags = uint8_t((common.flags & ~(tcp::kFlagHdgst | tcp::kFlagDdgst)) |
                         (digests.header ? tcp::kFlagHdgst : 0) | (has_data_digest ? tcp::kFlagDdgst : 0));
  common.hlen = uint8_t(parts.header.size());
  common.pdo = has_data && !is_termination ? uint8_t(header_end) : uint8_t{0};
  common.plen = uint32_t(header_end + parts.data.size() + (has_data_digest ? tcp::kDigestSize : 0));
  std::memcpy(parts.header.data(), &common, sizeof common);
  if (tcp::PduType(common.type) == tcp::PduType::kH2cData || tcp::PduType(common.type) == tcp::PduType::kC2hData) {
    store_le32(parts.header.data() + offsetof(tcp::DataPdu, datal), uint32_t(parts.data.size()));
  }
  Bytes bytes = parts.header;
  const auto append_digest = [&bytes](std::span<const std::byte> covered) {
    const le32 digest = crc32c(covered);
    bytes.insert(bytes.end(), std::begin(digest.raw), std::end(digest.raw));
  };
  if (digests.header) append_digest(parts.header);
  bytes.insert(bytes.end(), parts.data.begin(), parts.data.end());
  if (has_data_digest) append_digest(parts.data);
  return bytes;
}

}  // namespace weft::fuzz
