// NVMe/TCP protocol data units, as they lie on the wire. NVMe/TCP Transport 1.0a §3.6.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "wire/nvme/command.h"

namespace weft::tcp {

enum class PduType : uint8_t {
  kIcReq = 0x00,
  kIcResp = 0x01,
  kH2cTermReq = 0x02,
  kC2hTermReq = 0x03,
  kCapsuleCmd = 0x04,
  kCapsuleResp = 0x05,
  kH2cData = 0x06,
  kC2hData = 0x07,
  kR2t = 0x09,
};

inline constexpr uint8_t kFlagHdgst = 1 << 0;
inline constexpr uint8_t kFlagDdgst = 1 << 1;
inline constexpr uint8_t kFlagLast = 1 << 2;     // H2CData, C2HData
inline constexpr uint8_t kFlagSuccess = 1 << 3;  // C2HData: stands for the response capsule
inline constexpr uint8_t kDigestHeader = 1 << 0;  // DGST of ICReq and ICResp
inline constexpr uint8_t kDigestData = 1 << 1;
inline constexpr size_t kDigestSize = 4;  // bytes

struct CommonHeader {
  uint8_t type;
  uint8_t flags;
  uint8_t hlen;  // common header and PDU-specific header, without digest
  uint8_t pdo;   // offset of the data from the start of the PDU, 0 without data
  le32 plen;     // the whole PDU
};
static_assert(sizeof(CommonHeader) == 8);

struct IcReq {
  CommonHeader ch;
  le16 pfv;
  uint8_t hpda;  // 0-based dwords: alignment of C2HData's data
  uint8_t dgst;
  le32 maxr2t;  // 0-based: outstanding R2Ts per command
  std::array<std::byte, 112> reserved;
};
static_assert(sizeof(IcReq) == 128);

struct IcResp {
  CommonHeader ch;
  le16 pfv;
  uint8_t cpda;  // 0-based dwords: alignment of the data the host sends
  uint8_t dgst;
  le32 maxh2cdata;  // bytes, a multiple of 4, at least 4096
  std::array<std::byte, 112> reserved;
};
static_assert(sizeof(IcResp) == 128);

/// Fatal error status of a termination request, §3.6.2.6 and §3.6.2.7.
enum class Fes : uint16_t {
  kInvalidHeaderField = 1,       // FEI: offset of the field
  kSequenceError = 2,
  kHeaderDigestError = 3,        // FEI: the digest received
  kDataTransferOutOfRange = 4,
  kDataTransferLimitExceeded = 5,
  kUnsupportedParameter = 6,     // FEI: offset of the parameter
};

struct TermReq {
  CommonHeader ch;
  le16 fes;
  le32 fei;
  std::array<std::byte, 10> reserved;  // then up to 128 bytes of the offending PDU's header
};
static_assert(sizeof(TermReq) == 24 && offsetof(TermReq, fei) == 10);
inline constexpr size_t kTermReqDataMax = 128;  // bytes

struct CapsuleCmd {
  CommonHeader ch;
  nvme::Sqe sqe;
};
static_assert(sizeof(CapsuleCmd) == 72);

struct CapsuleResp {
  CommonHeader ch;
  nvme::Cqe cqe;
};
static_assert(sizeof(CapsuleResp) == 24);

/// H2CData and C2HData: | header 24 | hdgst? 4 | pad 0..pda | data datal | ddgst? 4 |. C2HData has no ttag (reserved, 0).
struct DataPdu {
  CommonHeader ch;
  le16 cccid;  // CID of the command
  le16 ttag;
  le32 datao;  // bytes, from the start of the command's data
  le32 datal;  // bytes in this PDU
  std::array<std::byte, 4> reserved;
};
static_assert(sizeof(DataPdu) == 24 && offsetof(DataPdu, datal) == 16);

struct R2t {
  CommonHeader ch;
  le16 cccid;
  le16 ttag;
  le32 r2to;  // bytes
  le32 r2tl;
  std::array<std::byte, 4> reserved;
};
static_assert(sizeof(R2t) == 24 && offsetof(R2t, r2tl) == 16);

}  // namespace weft::tcp
