// What a PDU from a host must look like, and which fatal error it is when it does not: the violation table of NVMe/TCP 1.0a §3.5 and §3.6,
// as pure functions. Fields are checked from the lowest offset up, so that the first wrong one is the one reported.
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "wire/tcp/pdu.h"

namespace weft::tcp {

/// A fatal transport error: the connection ends with it.
struct Violation {
  Fes fes;
  uint32_t fei = 0;  // kInvalidHeaderField, kUnsupportedParameter: offset in the PDU; kHeaderDigestError: the digest received
  friend bool operator==(const Violation&, const Violation&) = default;
};

/// Data that a command capsule may carry: what admin and fabrics commands are promised, §3.3.1; I/O commands get at most as much.
inline constexpr size_t kInCapsuleMax = 8192;
/// PDO is one byte, so the data starts at 255 at the latest.
inline constexpr size_t kPdoMax = 255;

/// What ICReq and ICResp have settled.
struct Session {
  bool is_initialized = false;
  bool has_header_digest = false;
  bool has_data_digest = false;
  uint32_t maxh2cdata = 0;  // bytes
  // What follows from it. The first four bytes, TYPE, FLAGS, HLEN and PDO, of capsules as nearly all are.
  uint32_t capsule_alone = 0;
  uint32_t capsule_with_data = 0;
  uint8_t capsule_header_size = sizeof(CapsuleCmd);  // with its digest
  uint8_t data_digest_size = 0;
  /// Of a C2HData, as if it had no data: the digests' flags, and in PDO the place of the data, a multiple of (HPDA + 1) * 4.
  CommonHeader c2h_header{.type = uint8_t(PduType::kC2hData), .flags = 0, .hlen = sizeof(DataPdu), .pdo = sizeof(DataPdu), .plen = sizeof(DataPdu)};

  /// What `dgst` and `hpda` of an ICReq that was checked ask for is agreed.
  constexpr void agree(uint8_t dgst, uint8_t hpda);
};

constexpr void Session::agree(uint8_t dgst, uint8_t hpda) {
  is_initialized = true;
  has_header_digest = (dgst & kDigestHeader) != 0;
  has_data_digest = (dgst & kDigestData) != 0;
  const uint8_t header_flag = has_header_digest ? kFlagHdgst : 0;
  const uint8_t data_flag = has_data_digest ? kFlagDdgst : 0;
  const size_t header_digest_size = has_header_digest ? kDigestSize : 0;
  data_digest_size = has_data_digest ? kDigestSize : 0;

  capsule_header_size = uint8_t(sizeof(CapsuleCmd) + header_digest_size);
  capsule_alone = uint32_t(PduType::kCapsuleCmd) | uint32_t{header_flag} << 8 | uint32_t{sizeof(CapsuleCmd)} << 16;
  capsule_with_data = capsule_alone | uint32_t{data_flag} << 8 | uint32_t{capsule_header_size} << 24;

  const size_t alignment = (hpda + 1u) * 4;  // any number of dwords
  c2h_header.flags = header_flag | data_flag;
  c2h_header.pdo = uint8_t((sizeof(DataPdu) + header_digest_size + alignment - 1) / alignment * alignment);
  c2h_header.plen = uint32_t{c2h_header.pdo} + data_digest_size;
}

/// Where the parts of a checked PDU lie, bytes from its start.
/// | header hlen | hdgst? 4 | pad | data data_size | ddgst? 4 |
struct Layout {
  size_t header_size;  // with its digest
  size_t data_offset;  // where the data starts; header_size without data
  size_t data_size;
  size_t size;         // the whole PDU
  bool has_data_digest;
};

/// The layout of a capsule as nearly all are: a command alone or with data right behind it, with the digests that are agreed. Nothing for all others,
/// right or wrong: those are check_common_header()'s. Four fields in one compare, because this is asked for every command. Requires: agree() was called.
inline std::optional<Layout> plain_capsule(const CommonHeader& header, const Session& session) {
  const uint32_t fields = load_le32(reinterpret_cast<const std::byte*>(&header));
  const size_t size = header.plen, header_size = session.capsule_header_size;
  const bool is_alone = fields == session.capsule_alone && size == header_size;
  const size_t data_size = is_alone ? 0 : size - header_size - session.data_digest_size;
  if (!is_alone && (fields != session.capsule_with_data || data_size - 1 >= kInCapsuleMax)) return std::nullopt;
  return Layout{header_size, header_size, data_size, size, !is_alone && session.data_digest_size > 0};
}

/// Requires: the PDU is no H2CTermReq.
std::expected<Layout, Violation> check_common_header(const CommonHeader& header, const Session& session);
std::expected<void, Violation> check_ic_req(const IcReq& request);

/// The transfer that an R2T has opened.
struct OpenTransfer {
  uint16_t cid;
  uint32_t length;       // bytes requested: R2TL
  uint32_t next_offset;  // where the next H2CData must start
};
/// `transfer` is null when the TTAG names none. Requires: the layout was checked.
std::expected<void, Violation> check_h2c_data(const DataPdu& pdu, const Layout& layout, const Session& session, const OpenTransfer* transfer);

}  // namespace weft::tcp
