// The submission queue entry, the completion queue entry, SGL descriptors and the data structures of the NVM command set's commands.
// NVM Express Base 2.0 §3.3.3 (SQE, CQE), §4.1.2 (SGL); NVM Command Set 1.0 §3 (DSM and Copy ranges).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "base/endian.h"
#include "wire/nvme/status.h"

namespace weft::nvme {

enum class AdminOpcode : uint8_t {
  kDeleteIoSq = 0x00,
  kCreateIoSq = 0x01,
  kGetLogPage = 0x02,
  kDeleteIoCq = 0x04,
  kCreateIoCq = 0x05,
  kIdentify = 0x06,
  kAbort = 0x08,
  kSetFeatures = 0x09,
  kGetFeatures = 0x0a,
  kAsyncEventRequest = 0x0c,
  kKeepAlive = 0x18,
};

enum class IoOpcode : uint8_t {
  kFlush = 0x00,
  kWrite = 0x01,
  kRead = 0x02,
  kCompare = 0x05,
  kWriteZeroes = 0x08,
  kDatasetManagement = 0x09,
  kVerify = 0x0c,
  kCopy = 0x19,
};

inline constexpr uint8_t kFabricsOpcode = 0x7f;
inline constexpr uint32_t kNsidAll = 0xffffffff;

/// Direction of data, bits 1:0 of an opcode and of FCTYPE.
enum class DataDirection : uint8_t { kNone = 0, kHostToController = 1, kControllerToHost = 2, kBidirectional = 3 };
constexpr DataDirection direction_of(uint8_t opcode_or_fctype) { return DataDirection(opcode_or_fctype & 3); }

enum class Fuse : uint8_t { kNone = 0, kFirst = 1, kSecond = 2, kReserved = 3 };
enum class Psdt : uint8_t { kPrp = 0, kSglContiguousMetadata = 1, kSglMetadataSgl = 2, kReserved = 3 };

/// SGL descriptor: byte 15 is type (7:4) and subtype (3:0).
struct SglDescriptor {
  static constexpr uint8_t kDataBlockOffset = 0x01;  // in-capsule data
  static constexpr uint8_t kTransportDataBlock = 0x5a;  // TCP: moved by R2T/H2CData or C2HData
  static constexpr uint8_t kKeyedDataBlock = 0x40;  // RDMA
  static constexpr uint8_t kKeyedDataBlockInvalidate = 0x4f;
  static constexpr uint8_t kLastSegmentOffset = 0x31;

  le64 address;  // or the offset
  le32 length;   // bytes
  std::array<std::byte, 3> reserved;
  uint8_t type;
};
static_assert(sizeof(SglDescriptor) == 16 && alignof(SglDescriptor) == 1);

struct Sqe {
  uint8_t opcode;
  uint8_t flags;  // 1:0 FUSE, 7:6 PSDT
  le16 cid;
  le32 nsid;  // fabrics commands: byte 4 is FCTYPE
  le32 cdw2;
  le32 cdw3;
  le64 mptr;
  SglDescriptor sgl;
  le32 cdw10;
  le32 cdw11;
  le32 cdw12;
  le32 cdw13;
  le32 cdw14;
  le32 cdw15;

  constexpr Fuse fuse() const { return Fuse(flags & 3); }
  constexpr Psdt psdt() const { return Psdt(flags >> 6); }
  constexpr uint8_t fctype() const { return uint8_t(nsid.raw[0]); }
  /// SLBA of the NVM commands that have one: CDW10 and CDW11.
  constexpr uint64_t slba() const { return uint64_t{cdw11} << 32 | uint32_t{cdw10}; }
  /// Number of logical blocks, 1-based (CDW12 15:0 is 0-based).
  constexpr uint32_t block_count() const { return (uint32_t{cdw12} & 0xffff) + 1; }
};
static_assert(sizeof(Sqe) == 64 && alignof(Sqe) == 1 && offsetof(Sqe, sgl) == 24 && offsetof(Sqe, cdw10) == 40);

struct Cqe {
  le32 dw0;  // command specific
  le32 dw1;
  le16 sqhd;
  le16 sqid;
  le16 cid;
  le16 status;  // bit 0 is the phase, 0 over fabrics

  Status decoded_status() const { return Status::from_cqe(status); }
};
static_assert(sizeof(Cqe) == 16 && alignof(Cqe) == 1);

// CDW12 of Read, Write, Write Zeroes, Compare, Verify.
inline constexpr uint32_t kCdw12LimitedRetry = 1u << 31;
inline constexpr uint32_t kCdw12Fua = 1u << 30;
inline constexpr uint32_t kCdw12PrinfoMask = 0xfu << 26;
inline constexpr uint32_t kCdw12Deallocate = 1u << 25;  // Write Zeroes only

/// Dataset Management: up to 256 of these; `length_blocks` is 1-based, 0 means nothing.
struct DsmRange {
  le32 attributes;
  le32 length_blocks;
  le64 slba;
};
static_assert(sizeof(DsmRange) == 16);
inline constexpr uint32_t kDsmDeallocate = 1u << 2;  // CDW11 AD

/// Copy source range, descriptor format 0.
struct CopyRange {
  std::array<std::byte, 8> reserved0;
  le64 slba;
  le16 nlb;  // 0-based
  std::array<std::byte, 6> reserved18;
  le32 eilbrt;
  le16 elbat;
  le16 elbatm;
};
static_assert(sizeof(CopyRange) == 32 && offsetof(CopyRange, nlb) == 16);

}  // namespace weft::nvme
