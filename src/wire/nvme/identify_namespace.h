// Identify Namespace of the NVM command set (CNS 00h), its I/O command set specific part (CNS 05h, CSI 00h) and the I/O
// command set independent one (CNS 08h), with the bits of their fields. NVM Command Set 1.0 §4.1.5; NVM Express
// Base 2.0 §5.17.2.8.
#pragma once
#include "base/bits.h"
#include "base/endian.h"
#include "wire/nvme/le128.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::nvme {

// NSFEAT, byte 24 of CNS 00h.
inline constexpr uint8_t kNsfeatThinProvisioned = 1 << 0;
inline constexpr uint8_t kNsfeatAtomics = 1 << 1;  // NAWUN, NAWUPF and NACWU are valid
inline constexpr uint8_t kNsfeatDulbe = 1 << 2;
inline constexpr uint8_t kNsfeatUidReuse = 1 << 3;  // NGUID and EUI64 are never used again
inline constexpr uint8_t kNsfeatOptperf = 1 << 4;   // NPWG, NPWA, NPDG, NPDA and NOWS are valid

// NSFEAT, byte 0 of CNS 08h.
inline constexpr uint8_t kIndependentNsfeatRotational = 1 << 4;
inline constexpr uint8_t kIndependentNsfeatNoVolatileCache = 1 << 5;

inline constexpr uint8_t kFlbasExtendedMetadata = 1 << 4;  // 3:0 and 6:5 are the format's index

// MC, byte 27.
inline constexpr uint8_t kMcExtended = 1 << 0;
inline constexpr uint8_t kMcSeparate = 1 << 1;

inline constexpr uint8_t kNmicShared = 1 << 0;  // NMIC, byte 30

// RESCAP, byte 31.
inline constexpr uint8_t kRescapPersistThroughPowerLoss = 1 << 0;
inline constexpr uint8_t kRescapWriteExclusive = 1 << 1;
inline constexpr uint8_t kRescapExclusiveAccess = 1 << 2;
inline constexpr uint8_t kRescapWriteExclusiveRegistrants = 1 << 3;
inline constexpr uint8_t kRescapExclusiveAccessRegistrants = 1 << 4;
inline constexpr uint8_t kRescapWriteExclusiveAllRegistrants = 1 << 5;
inline constexpr uint8_t kRescapExclusiveAccessAllRegistrants = 1 << 6;
inline constexpr uint8_t kRescapIekey13 = 1 << 7;  // Ignore Existing Key as revision 1.3 defines it

// DLFEAT, byte 33; 2:0 say what a deallocated block reads as.
inline constexpr uint8_t kDlfeatReadsNotReported = 0;
inline constexpr uint8_t kDlfeatReadsZeroes = 1;
inline constexpr uint8_t kDlfeatReadsOnes = 2;
inline constexpr uint8_t kDlfeatWriteZeroesDeallocates = 1 << 3;
inline constexpr uint8_t kDlfeatGuardCrc = 1 << 4;

inline constexpr uint8_t kNsattrWriteProtected = 1 << 0;  // NSATTR, byte 99
inline constexpr uint8_t kNstatNrdy = 1 << 0;             // NSTAT, byte 14 of CNS 08h: the namespace is ready

struct LbaFormat {
  le16 ms;        // bytes of metadata per block
  uint8_t lbads;  // log2 of the block size in bytes
  uint8_t rp;     // 1:0 relative performance, 0 is best
};
static_assert(sizeof(LbaFormat) == 4 && offsetof(LbaFormat, lbads) == 2 && offsetof(LbaFormat, rp) == 3);

struct IdentifyNamespace {
  le64 nsze;  // logical blocks, as ncap and nuse
  le64 ncap;
  le64 nuse;
  uint8_t nsfeat;
  uint8_t nlbaf;  // 0-based
  uint8_t flbas;
  uint8_t mc;
  uint8_t dpc;
  uint8_t dps;
  uint8_t nmic;
  uint8_t rescap;
  uint8_t fpi;
  uint8_t dlfeat;
  le16 nawun;  // logical blocks, 0-based, as the next two
  le16 nawupf;
  le16 nacwu;
  le16 nabsn;
  le16 nabo;
  le16 nabspf;
  le16 noiob;    // logical blocks; 0: no boundary
  Le128 nvmcap;  // bytes
  le16 npwg;     // logical blocks, 0-based, as the next four
  le16 npwa;
  le16 npdg;
  le16 npda;
  le16 nows;
  le16 mssrl;    // logical blocks of one source range of Copy
  le32 mcl;      // logical blocks of one Copy
  uint8_t msrc;  // source ranges of one Copy, 0-based
  std::byte reserved81;
  uint8_t nulbaf;
  std::array<std::byte, 9> reserved83;
  le32 anagrpid;
  std::array<std::byte, 3> reserved96;
  uint8_t nsattr;
  le16 nvmsetid;
  le16 endgid;
  std::array<uint8_t, 16> nguid;  // big-endian
  std::array<uint8_t, 8> eui64;   // big-endian
  std::array<LbaFormat, 64> lbaf;
  std::array<std::byte, 3712> vs;

  /// Index of the format in use: below 64 whatever the bytes are.
  constexpr unsigned format_index() const { return bits<3, 0>(unsigned{flbas}) | bits<6, 5>(unsigned{flbas}) << 4; }
};
static_assert(sizeof(IdentifyNamespace) == 4096 && alignof(IdentifyNamespace) == 1);
static_assert(offsetof(IdentifyNamespace, ncap) == 8 && offsetof(IdentifyNamespace, nuse) == 16 &&
              offsetof(IdentifyNamespace, nsfeat) == 24 && offsetof(IdentifyNamespace, nlbaf) == 25 &&
              offsetof(IdentifyNamespace, flbas) == 26 && offsetof(IdentifyNamespace, mc) == 27 &&
              offsetof(IdentifyNamespace, dpc) == 28 && offsetof(IdentifyNamespace, dps) == 29 &&
              offsetof(IdentifyNamespace, nmic) == 30 && offsetof(IdentifyNamespace, rescap) == 31 &&
              offsetof(IdentifyNamespace, fpi) == 32 && offsetof(IdentifyNamespace, dlfeat) == 33);
static_assert(offsetof(IdentifyNamespace, nawun) == 34 && offsetof(IdentifyNamespace, nawupf) == 36 &&
              offsetof(IdentifyNamespace, nacwu) == 38 && offsetof(IdentifyNamespace, nabsn) == 40 &&
              offsetof(IdentifyNamespace, nabo) == 42 && offsetof(IdentifyNamespace, nabspf) == 44 &&
              offsetof(IdentifyNamespace, noiob) == 46 && offsetof(IdentifyNamespace, nvmcap) == 48 &&
              offsetof(IdentifyNamespace, npwg) == 64 && offsetof(IdentifyNamespace, npwa) == 66 &&
              offsetof(IdentifyNamespace, npdg) == 68 && offsetof(IdentifyNamespace, npda) == 70 &&
              offsetof(IdentifyNamespace, nows) == 72 && offsetof(IdentifyNamespace, mssrl) == 74 &&
              offsetof(IdentifyNamespace, mcl) == 76 && offsetof(IdentifyNamespace, msrc) == 80 &&
              offsetof(IdentifyNamespace, nulbaf) == 82);
static_assert(offsetof(IdentifyNamespace, anagrpid) == 92 && offsetof(IdentifyNamespace, nsattr) == 99 &&
              offsetof(IdentifyNamespace, nvmsetid) == 100 && offsetof(IdentifyNamespace, endgid) == 102 &&
              offsetof(IdentifyNamespace, nguid) == 104 && offsetof(IdentifyNamespace, eui64) == 120 &&
              offsetof(IdentifyNamespace, lbaf) == 128 && offsetof(IdentifyNamespace, vs) == 384);

/// CNS 05h, CSI 00h.
struct NvmIdentifyNamespace {
  le64 lbstm;
  uint8_t pic;
  uint8_t pifa;
  std::array<std::byte, 2> reserved10;
  std::array<le32, 64> elbaf;  // 6:0 STS, 8:7 PIF, 12:9 QPIF
  le32 npdgl;
  le32 nprg;
  le32 npra;
  le32 nors;
  le32 npdal;
  std::array<std::byte, 3808> reserved288;
};
static_assert(sizeof(NvmIdentifyNamespace) == 4096 && alignof(NvmIdentifyNamespace) == 1);
static_assert(offsetof(NvmIdentifyNamespace, pic) == 8 && offsetof(NvmIdentifyNamespace, pifa) == 9 &&
              offsetof(NvmIdentifyNamespace, elbaf) == 12 && offsetof(NvmIdentifyNamespace, npdgl) == 268 &&
              offsetof(NvmIdentifyNamespace, nprg) == 272 && offsetof(NvmIdentifyNamespace, npra) == 276 &&
              offsetof(NvmIdentifyNamespace, nors) == 280 && offsetof(NvmIdentifyNamespace, npdal) == 284);

/// CNS 08h.
struct IndependentIdentifyNamespace {
  uint8_t nsfeat;
  uint8_t nmic;
  uint8_t rescap;
  uint8_t fpi;
  le32 anagrpid;
  uint8_t nsattr;
  std::byte reserved9;
  le16 nvmsetid;
  le16 endgid;
  uint8_t nstat;
  std::array<std::byte, 4081> reserved15;
};
static_assert(sizeof(IndependentIdentifyNamespace) == 4096 && alignof(IndependentIdentifyNamespace) == 1);
static_assert(offsetof(IndependentIdentifyNamespace, nmic) == 1 &&
              offsetof(IndependentIdentifyNamespace, rescap) == 2 && offsetof(IndependentIdentifyNamespace, fpi) == 3 &&
              offsetof(IndependentIdentifyNamespace, anagrpid) == 4 &&
              offsetof(IndependentIdentifyNamespace, nsattr) == 8 &&
              offsetof(IndependentIdentifyNamespace, nvmsetid) == 10 &&
              offsetof(IndependentIdentifyNamespace, endgid) == 12 &&
              offsetof(IndependentIdentifyNamespace, nstat) == 14);

}  // namespace weft::nvme
