// The discovery log page (LID 70h): a header, then one entry per way to reach a subsystem. NVM Express Base 2.0
// §5.16.1.23.
#pragma once
#include "base/endian.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::fabrics {

enum class Trtype : uint8_t { kRdma = 1, kFibreChannel = 2, kTcp = 3, kIntraHost = 0xfe };
enum class Adrfam : uint8_t { kIpv4 = 1, kIpv6 = 2, kInfiniBand = 3, kFibreChannel = 4, kIntraHost = 0xfe };
enum class Subtype : uint8_t { kReferral = 1, kNvm = 2, kCurrentDiscovery = 3 };

// TREQ: 1:0 secure channel, 2 SQ flow control may be disabled.
inline constexpr uint8_t kTreqSecureNotSpecified = 0;
inline constexpr uint8_t kTreqSecureRequired = 1;
inline constexpr uint8_t kTreqSecureNotRequired = 2;
inline constexpr uint8_t kTreqDisableSqFlowControl = 1 << 2;

// EFLAGS.
inline constexpr uint16_t kEflagsDupretinfo = 1 << 0;  // other entries return the same log
inline constexpr uint16_t kEflagsEpcsd = 1 << 1;       // persistent connections to this discovery subsystem
inline constexpr uint16_t kEflagsNcc = 1 << 2;         // no connectivity to the central discovery controller

// LSP of Get Log Page 70h, and from bit 16 up what the supported log pages say of it.
inline constexpr uint8_t kLspExtendedEntries = 1 << 0;  // EXTDLPE
inline constexpr uint8_t kLspPortLocal = 1 << 1;        // PLEO
inline constexpr uint8_t kLspAllSubsystems = 1 << 2;    // ALLSUBE

inline constexpr uint16_t kAsqszMin = 32;  // entries, 1-based
inline constexpr uint16_t kNvmeTcpPort = 4420;
inline constexpr uint16_t kDiscoveryTcpPort = 8009;

struct DiscoveryLogHeader {
  le64 genctr;  // changes with every visible change of the log
  le64 numrec;
  le16 recfmt;   // 0
  uint8_t dlpf;  // 0 EXTDLP, 1 PORTLCL, 2 ALLSUBE: as the log was filtered
  std::byte reserved19;
  le32 tdlpl;  // bytes of the whole log; 0 before base 2.1
  std::array<std::byte, 1000> reserved24;
};
static_assert(sizeof(DiscoveryLogHeader) == 1024 && alignof(DiscoveryLogHeader) == 1 &&
              offsetof(DiscoveryLogHeader, numrec) == 8 && offsetof(DiscoveryLogHeader, recfmt) == 16 &&
              offsetof(DiscoveryLogHeader, dlpf) == 18 && offsetof(DiscoveryLogHeader, tdlpl) == 20);

enum class Sectype : uint8_t { kNone = 0, kTls12 = 1, kTls13 = 2 };

struct TsasTcp {
  uint8_t sectype;
  std::array<std::byte, 255> reserved1;
};
static_assert(sizeof(TsasTcp) == 256);

enum class RdmaQptype : uint8_t { kConnected = 1, kDatagram = 2 };
enum class RdmaPrtype : uint8_t { kNone = 1, kInfiniBand = 2, kRoce = 3, kRoceV2 = 4, kIwarp = 5 };
inline constexpr uint8_t kRdmaCms = 1;  // RDMA_CM

struct TsasRdma {
  uint8_t qptype;
  uint8_t prtype;
  uint8_t cms;
  std::array<std::byte, 5> reserved3;
  le16 pkey;
  std::array<std::byte, 246> reserved10;
};
static_assert(sizeof(TsasRdma) == 256 && offsetof(TsasRdma, pkey) == 8);

struct DiscoveryLogEntry {
  uint8_t trtype;
  uint8_t adrfam;
  uint8_t subtype;
  uint8_t treq;
  le16 portid;
  le16 cntlid;  // kCntlidDynamic or kCntlidStaticAny
  le16 asqsz;
  le16 eflags;
  std::array<std::byte, 20> reserved12;
  std::array<char, 32> trsvcid;  // ASCII, padded with spaces or NULs
  std::array<std::byte, 192> reserved64;
  std::array<char, 256> subnqn;
  std::array<char, 256> traddr;     // ASCII, padded with spaces or NULs
  std::array<std::byte, 256> tsas;  // TsasTcp or TsasRdma, by trtype
};
static_assert(sizeof(DiscoveryLogEntry) == 1024 && alignof(DiscoveryLogEntry) == 1);
static_assert(offsetof(DiscoveryLogEntry, adrfam) == 1 && offsetof(DiscoveryLogEntry, subtype) == 2 &&
              offsetof(DiscoveryLogEntry, treq) == 3 && offsetof(DiscoveryLogEntry, portid) == 4 &&
              offsetof(DiscoveryLogEntry, cntlid) == 6 && offsetof(DiscoveryLogEntry, asqsz) == 8 &&
              offsetof(DiscoveryLogEntry, eflags) == 10 && offsetof(DiscoveryLogEntry, trsvcid) == 32 &&
              offsetof(DiscoveryLogEntry, subnqn) == 256 && offsetof(DiscoveryLogEntry, traddr) == 512 &&
              offsetof(DiscoveryLogEntry, tsas) == 768);

}  // namespace weft::fabrics
