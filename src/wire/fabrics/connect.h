// Fabrics commands: Connect with its data and result, Property Get and Set, Disconnect. NVMe Base 2.0 §6 (Fabrics command set), §3.1.2 (types).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "wire/nvme/command.h"

namespace weft::fabrics {

enum class Fctype : uint8_t {
  kPropertySet = 0x00,
  kConnect = 0x01,
  kPropertyGet = 0x04,
  kAuthenticationSend = 0x05,
  kAuthenticationReceive = 0x06,
  kDisconnect = 0x08,
};

inline constexpr uint16_t kCntlidDynamic = 0xffff;
inline constexpr uint16_t kCntlidStaticAny = 0xfffe;
inline constexpr uint16_t kCntlidMax = 0xffef;
inline constexpr size_t kNqnLengthMax = 223;  // bytes without the NUL
inline constexpr char kDiscoveryNqn[] = "nqn.2014-08.org.nvmexpress.discovery";

inline constexpr uint8_t kCattrDisableSqFlowControl = 1 << 2;
inline constexpr uint8_t kCattrDisconnectSupport = 1 << 3;

struct ConnectSqe {
  uint8_t opcode;
  uint8_t flags;
  le16 cid;
  uint8_t fctype;
  std::array<std::byte, 19> reserved5;
  nvme::SglDescriptor sgl;
  le16 recfmt;
  le16 qid;
  le16 sqsize;  // 0-based
  uint8_t cattr;
  std::byte reserved47;
  le32 kato;  // ms
  std::array<std::byte, 12> reserved52;
};
static_assert(sizeof(ConnectSqe) == 64 && offsetof(ConnectSqe, recfmt) == 40 && offsetof(ConnectSqe, kato) == 48);

struct ConnectData {
  std::array<std::byte, 16> hostid;
  le16 cntlid;
  std::array<std::byte, 238> reserved18;
  std::array<char, 256> subnqn;
  std::array<char, 256> hostnqn;
  std::array<std::byte, 256> reserved768;
};
static_assert(sizeof(ConnectData) == 1024 && offsetof(ConnectData, subnqn) == 256 && offsetof(ConnectData, hostnqn) == 512);

/// CDW0 of a failed Connect with Connect Invalid Parameters: IPO in 15:0, IATTR in bit 16.
constexpr uint32_t invalid_in_sqe(size_t offset) { return uint32_t(offset); }
constexpr uint32_t invalid_in_data(size_t offset) { return 0x10000u | uint32_t(offset); }

struct PropertySqe {  // Property Get and Set
  uint8_t opcode;
  uint8_t flags;
  le16 cid;
  uint8_t fctype;
  std::array<std::byte, 35> reserved5;
  uint8_t attrib;  // 2:0 size: 0 is 4 bytes, 1 is 8
  std::array<std::byte, 3> reserved41;
  le32 ofst;
  le64 value;  // Set only
  std::array<std::byte, 8> reserved56;
};
static_assert(sizeof(PropertySqe) == 64 && offsetof(PropertySqe, attrib) == 40 && offsetof(PropertySqe, ofst) == 44 &&
              offsetof(PropertySqe, value) == 48);

struct DisconnectSqe {
  uint8_t opcode;
  uint8_t flags;
  le16 cid;
  uint8_t fctype;
  std::array<std::byte, 35> reserved5;
  le16 recfmt;
  std::array<std::byte, 22> reserved42;
};
static_assert(sizeof(DisconnectSqe) == 64 && offsetof(DisconnectSqe, recfmt) == 40);

}  // namespace weft::fabrics
