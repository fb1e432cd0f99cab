// Identify Controller (CNS 01h) and the NVM command set's Identify Controller (CNS 06h, CSI 00h), with the bits of
// their fields. NVM Express Base 2.0 §5.17.2.1; NVM Command Set 1.0 §4.1.5.2. Fields that later revisions added are
// reserved here, but CQT.
#pragma once
#include "base/endian.h"
#include "wire/nvme/le128.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::nvme {

// CMIC, byte 76.
inline constexpr uint8_t kCmicMultiPort = 1 << 0;
inline constexpr uint8_t kCmicMultiController = 1 << 1;
inline constexpr uint8_t kCmicSrIov = 1 << 2;
inline constexpr uint8_t kCmicAna = 1 << 3;

// OAES, bytes 95:92; the same bits enable the events in feature 0Bh.
inline constexpr uint32_t kOaesNamespaceAttribute = 1u << 8;
inline constexpr uint32_t kOaesFirmwareActivation = 1u << 9;
inline constexpr uint32_t kOaesAnaChange = 1u << 11;
inline constexpr uint32_t kOaesPredictableLatency = 1u << 12;
inline constexpr uint32_t kOaesLbaStatus = 1u << 13;
inline constexpr uint32_t kOaesEnduranceGroup = 1u << 14;
inline constexpr uint32_t kOaesNormalShutdown = 1u << 15;
inline constexpr uint32_t kOaesZoneDescriptor = 1u << 27;
inline constexpr uint32_t kOaesDiscoveryLog = 1u << 31;

// CTRATT, bytes 99:96.
inline constexpr uint32_t kCtrattHostId128 = 1u << 0;
inline constexpr uint32_t kCtrattNonOperationalPermissive = 1u << 1;
inline constexpr uint32_t kCtrattNvmSets = 1u << 2;
inline constexpr uint32_t kCtrattReadRecoveryLevels = 1u << 3;
inline constexpr uint32_t kCtrattEnduranceGroups = 1u << 4;
inline constexpr uint32_t kCtrattPredictableLatency = 1u << 5;
inline constexpr uint32_t kCtrattTbkas = 1u << 6;  // traffic based keep alive
inline constexpr uint32_t kCtrattNamespaceGranularity = 1u << 7;
inline constexpr uint32_t kCtrattSqAssociations = 1u << 8;
inline constexpr uint32_t kCtrattUuidList = 1u << 9;
inline constexpr uint32_t kCtrattMultiDomain = 1u << 10;
inline constexpr uint32_t kCtrattFixedCapacity = 1u << 11;
inline constexpr uint32_t kCtrattVariableCapacity = 1u << 12;
inline constexpr uint32_t kCtrattDeleteEnduranceGroup = 1u << 13;
inline constexpr uint32_t kCtrattDeleteNvmSet = 1u << 14;
inline constexpr uint32_t kCtrattElbas = 1u << 15;  // extended LBA formats

enum class ControllerType : uint8_t { kNotReported = 0, kIo = 1, kDiscovery = 2, kAdministrative = 3 };

// OACS, bytes 257:256.
inline constexpr uint16_t kOacsSecurity = 1 << 0;
inline constexpr uint16_t kOacsFormat = 1 << 1;
inline constexpr uint16_t kOacsFirmware = 1 << 2;
inline constexpr uint16_t kOacsNamespaceManagement = 1 << 3;
inline constexpr uint16_t kOacsSelfTest = 1 << 4;
inline constexpr uint16_t kOacsDirectives = 1 << 5;
inline constexpr uint16_t kOacsNvmeMi = 1 << 6;
inline constexpr uint16_t kOacsVirtualization = 1 << 7;
inline constexpr uint16_t kOacsDoorbellBuffer = 1 << 8;
inline constexpr uint16_t kOacsGetLbaStatus = 1 << 9;
inline constexpr uint16_t kOacsLockdown = 1 << 10;

// FRMW, byte 260; bits 3:1 are the number of slots.
inline constexpr uint8_t kFrmwSlot1ReadOnly = 1 << 0;
inline constexpr uint8_t kFrmwOneSlot = 1 << 1;
inline constexpr uint8_t kFrmwActivateWithoutReset = 1 << 4;

// LPA, byte 261.
inline constexpr uint8_t kLpaSmartPerNamespace = 1 << 0;
inline constexpr uint8_t kLpaCommandEffects = 1 << 1;
inline constexpr uint8_t kLpaExtendedData = 1 << 2;  // LPO, and lengths of more than 12 bits
inline constexpr uint8_t kLpaTelemetry = 1 << 3;
inline constexpr uint8_t kLpaPersistentEvent = 1 << 4;
inline constexpr uint8_t kLpaSupportedPages = 1 << 5;  // LIDs 00h, 05h, 12h and 13h
inline constexpr uint8_t kLpaTelemetryArea4 = 1 << 6;

// ANACAP, byte 343.
inline constexpr uint8_t kAnacapOptimized = 1 << 0;
inline constexpr uint8_t kAnacapNonOptimized = 1 << 1;
inline constexpr uint8_t kAnacapInaccessible = 1 << 2;
inline constexpr uint8_t kAnacapPersistentLoss = 1 << 3;
inline constexpr uint8_t kAnacapChange = 1 << 4;
inline constexpr uint8_t kAnacapGroupIdFixed = 1 << 6;
inline constexpr uint8_t kAnacapGroupIdManaged = 1 << 7;

// SQES and CQES: 3:0 smallest, 7:4 largest, as powers of two.
inline constexpr uint8_t kSqes64Bytes = 0x66;
inline constexpr uint8_t kCqes16Bytes = 0x44;

// ONCS, bytes 521:520.
inline constexpr uint16_t kOncsCompare = 1 << 0;
inline constexpr uint16_t kOncsWriteUncorrectable = 1 << 1;
inline constexpr uint16_t kOncsDatasetManagement = 1 << 2;
inline constexpr uint16_t kOncsWriteZeroes = 1 << 3;
inline constexpr uint16_t kOncsSaveSelect = 1 << 4;  // Save of Set Features, Select of Get Features
inline constexpr uint16_t kOncsReservations = 1 << 5;
inline constexpr uint16_t kOncsTimestamp = 1 << 6;
inline constexpr uint16_t kOncsVerify = 1 << 7;
inline constexpr uint16_t kOncsCopy = 1 << 8;

inline constexpr uint16_t kFusesCompareAndWrite = 1 << 0;  // FUSES, bytes 523:522

// FNA, byte 524.
inline constexpr uint8_t kFnaFormatAll = 1 << 0;
inline constexpr uint8_t kFnaEraseAll = 1 << 1;
inline constexpr uint8_t kFnaCryptoErase = 1 << 2;
inline constexpr uint8_t kFnaNoBroadcast = 1 << 3;

// VWC, byte 525.
inline constexpr uint8_t kVwcPresent = 1 << 0;
inline constexpr uint8_t kVwcFlushAllUnsupported = 2 << 1;  // Flush of NSID FFFFFFFFh
inline constexpr uint8_t kVwcFlushAllSupported = 3 << 1;

// OCFS, bytes 535:534: bit n is Copy descriptor format n.
inline constexpr uint16_t kOcfsFormat0 = 1 << 0;

// SGLS, bytes 539:536.
inline constexpr uint32_t kSglsSupported = 1u << 0;  // 1:0 is 01b: no alignment or granularity demanded
inline constexpr uint32_t kSglsSupportedDwordAligned = 2u << 0;
inline constexpr uint32_t kSglsKeyedDataBlock = 1u << 2;
inline constexpr uint32_t kSglsBitBucket = 1u << 16;
inline constexpr uint32_t kSglsMptrByteAligned = 1u << 17;
inline constexpr uint32_t kSglsLongerThanData = 1u << 18;
inline constexpr uint32_t kSglsMptrSgl = 1u << 19;
inline constexpr uint32_t kSglsOffset = 1u << 20;  // in-capsule data
inline constexpr uint32_t kSglsTransportDataBlock = 1u << 21;

inline constexpr uint8_t kFcattStaticControllers = 1 << 0;  // FCATT, byte 1802; 0: dynamic controllers
inline constexpr uint16_t kOfcsDisconnect = 1 << 0;         // OFCS, bytes 1805:1804

/// Units of IOCCSZ, IORCSZ and ICDOFF.
inline constexpr uint32_t kCapsuleUnit = 16;  // bytes

enum class DiscoveryControllerType : uint8_t { kNotReported = 0, kDirect = 1, kCentral = 2 };  // DCTYPE

struct PowerStateDescriptor {
  le16 mp;  // maximum power: 0.01 W, or 0.0001 W with MXPS
  std::byte reserved2;
  uint8_t flags;  // 0 MXPS, 1 NOPS
  le32 enlat;     // us
  le32 exlat;     // us
  uint8_t rrt;
  uint8_t rrl;
  uint8_t rwt;
  uint8_t rwl;
  le16 idlp;
  uint8_t ips;
  std::byte reserved19;
  le16 actp;
  uint8_t apw;  // 2:0 APW, 7:6 APS
  std::array<std::byte, 9> reserved23;
};
static_assert(sizeof(PowerStateDescriptor) == 32 && offsetof(PowerStateDescriptor, flags) == 3 &&
              offsetof(PowerStateDescriptor, enlat) == 4 && offsetof(PowerStateDescriptor, exlat) == 8 &&
              offsetof(PowerStateDescriptor, idlp) == 16 && offsetof(PowerStateDescriptor, apw) == 22);

struct IdentifyController {
  le16 vid;
  le16 ssvid;
  std::array<char, 20> sn;  // sn, mn, fr: ASCII, padded with spaces
  std::array<char, 40> mn;
  std::array<char, 8> fr;
  uint8_t rab;
  std::array<uint8_t, 3> ieee;  // OUI, least significant byte first
  uint8_t cmic;
  uint8_t mdts;  // 2^n units of CAP.MPSMIN; 0: no limit
  le16 cntlid;
  le32 ver;
  le32 rtd3r;  // us
  le32 rtd3e;  // us
  le32 oaes;
  le32 ctratt;
  le16 rrls;
  std::array<std::byte, 9> reserved102;
  uint8_t cntrltype;
  std::array<std::byte, 16> fguid;
  le16 crdt1;  // 100 ms, as crdt2 and crdt3
  le16 crdt2;
  le16 crdt3;
  std::array<std::byte, 119> reserved134;
  uint8_t nvmsr;
  uint8_t vwci;
  uint8_t mec;
  le16 oacs;
  uint8_t acl;   // 0-based
  uint8_t aerl;  // 0-based
  uint8_t frmw;
  uint8_t lpa;
  uint8_t elpe;  // 0-based
  uint8_t npss;  // 0-based
  uint8_t avscc;
  uint8_t apsta;
  le16 wctemp;    // kelvin
  le16 cctemp;    // kelvin
  le16 mtfa;      // 100 ms
  le32 hmpre;     // 4 KiB
  le32 hmmin;     // 4 KiB
  Le128 tnvmcap;  // bytes
  Le128 unvmcap;  // bytes
  le32 rpmbs;
  le16 edstt;  // minutes
  uint8_t dsto;
  uint8_t fwug;  // 4 KiB
  le16 kas;      // 100 ms
  le16 hctma;
  le16 mntmt;  // kelvin
  le16 mxtmt;  // kelvin
  le32 sanicap;
  le32 hmminds;  // 4 KiB
  le16 hmmaxd;
  le16 nsetidmax;
  le16 endgidmax;
  uint8_t anatt;  // seconds
  uint8_t anacap;
  le32 anagrpmax;
  le32 nanagrpid;
  le32 pels;  // 64 KiB
  le16 domain_identifier;
  std::array<std::byte, 10> reserved358;
  Le128 megcap;  // bytes
  std::array<std::byte, 2> reserved384;
  le16 cqt;  // ms; TP4129
  std::array<std::byte, 124> reserved388;
  uint8_t sqes;
  uint8_t cqes;
  le16 maxcmd;
  le32 nn;
  le16 oncs;
  le16 fuses;
  uint8_t fna;
  uint8_t vwc;
  le16 awun;   // logical blocks, 0-based
  le16 awupf;  // logical blocks, 0-based
  uint8_t icsvscc;
  uint8_t nwpc;
  le16 acwu;  // logical blocks, 0-based
  le16 ocfs;
  le32 sgls;
  le32 mnan;
  Le128 maxdna;
  le32 maxcna;
  std::array<std::byte, 204> reserved564;
  std::array<char, 256> subnqn;  // padded with NULs
  std::array<std::byte, 768> reserved1024;
  le32 ioccsz;  // 16 bytes
  le32 iorcsz;  // 16 bytes
  le16 icdoff;  // 16 bytes
  uint8_t fcatt;
  uint8_t msdbd;  // 0: no limit
  le16 ofcs;
  uint8_t dctype;
  std::array<std::byte, 241> reserved1807;
  std::array<PowerStateDescriptor, 32> psd;
  std::array<std::byte, 1024> vs;
};
static_assert(sizeof(IdentifyController) == 4096 && alignof(IdentifyController) == 1);
static_assert(offsetof(IdentifyController, ssvid) == 2 && offsetof(IdentifyController, sn) == 4 &&
              offsetof(IdentifyController, mn) == 24 && offsetof(IdentifyController, fr) == 64 &&
              offsetof(IdentifyController, rab) == 72 && offsetof(IdentifyController, ieee) == 73 &&
              offsetof(IdentifyController, cmic) == 76 && offsetof(IdentifyController, mdts) == 77 &&
              offsetof(IdentifyController, cntlid) == 78 && offsetof(IdentifyController, ver) == 80);
static_assert(offsetof(IdentifyController, rtd3r) == 84 && offsetof(IdentifyController, rtd3e) == 88 &&
              offsetof(IdentifyController, oaes) == 92 && offsetof(IdentifyController, ctratt) == 96 &&
              offsetof(IdentifyController, rrls) == 100 && offsetof(IdentifyController, cntrltype) == 111 &&
              offsetof(IdentifyController, fguid) == 112 && offsetof(IdentifyController, crdt1) == 128 &&
              offsetof(IdentifyController, crdt2) == 130 && offsetof(IdentifyController, crdt3) == 132 &&
              offsetof(IdentifyController, nvmsr) == 253 && offsetof(IdentifyController, mec) == 255);
static_assert(offsetof(IdentifyController, oacs) == 256 && offsetof(IdentifyController, acl) == 258 &&
              offsetof(IdentifyController, aerl) == 259 && offsetof(IdentifyController, frmw) == 260 &&
              offsetof(IdentifyController, lpa) == 261 && offsetof(IdentifyController, elpe) == 262 &&
              offsetof(IdentifyController, npss) == 263 && offsetof(IdentifyController, avscc) == 264 &&
              offsetof(IdentifyController, apsta) == 265 && offsetof(IdentifyController, wctemp) == 266 &&
              offsetof(IdentifyController, cctemp) == 268 && offsetof(IdentifyController, mtfa) == 270 &&
              offsetof(IdentifyController, tnvmcap) == 280 && offsetof(IdentifyController, unvmcap) == 296);
static_assert(offsetof(IdentifyController, rpmbs) == 312 && offsetof(IdentifyController, kas) == 320 &&
              offsetof(IdentifyController, sanicap) == 328 && offsetof(IdentifyController, endgidmax) == 340 &&
              offsetof(IdentifyController, anatt) == 342 && offsetof(IdentifyController, anacap) == 343 &&
              offsetof(IdentifyController, anagrpmax) == 344 && offsetof(IdentifyController, nanagrpid) == 348 &&
              offsetof(IdentifyController, pels) == 352 && offsetof(IdentifyController, megcap) == 368 &&
              offsetof(IdentifyController, cqt) == 386);
static_assert(offsetof(IdentifyController, sqes) == 512 && offsetof(IdentifyController, cqes) == 513 &&
              offsetof(IdentifyController, maxcmd) == 514 && offsetof(IdentifyController, nn) == 516 &&
              offsetof(IdentifyController, oncs) == 520 && offsetof(IdentifyController, fuses) == 522 &&
              offsetof(IdentifyController, fna) == 524 && offsetof(IdentifyController, vwc) == 525 &&
              offsetof(IdentifyController, awun) == 526 && offsetof(IdentifyController, awupf) == 528 &&
              offsetof(IdentifyController, icsvscc) == 530 && offsetof(IdentifyController, nwpc) == 531 &&
              offsetof(IdentifyController, acwu) == 532 && offsetof(IdentifyController, ocfs) == 534 &&
              offsetof(IdentifyController, sgls) == 536 && offsetof(IdentifyController, mnan) == 540 &&
              offsetof(IdentifyController, maxdna) == 544 && offsetof(IdentifyController, maxcna) == 560);
static_assert(offsetof(IdentifyController, subnqn) == 768 && offsetof(IdentifyController, ioccsz) == 1792 &&
              offsetof(IdentifyController, iorcsz) == 1796 && offsetof(IdentifyController, icdoff) == 1800 &&
              offsetof(IdentifyController, fcatt) == 1802 && offsetof(IdentifyController, msdbd) == 1803 &&
              offsetof(IdentifyController, ofcs) == 1804 && offsetof(IdentifyController, dctype) == 1806 &&
              offsetof(IdentifyController, psd) == 2048 && offsetof(IdentifyController, vs) == 3072);

/// CNS 06h, CSI 00h. A limit of 0 is no limit.
struct NvmIdentifyController {
  uint8_t vsl;  // vsl, wzsl, wusl: 2^n units of CAP.MPSMIN
  uint8_t wzsl;
  uint8_t wusl;
  uint8_t dmrl;  // ranges of a Dataset Management
  le32 dmrsl;    // logical blocks of one range
  le64 dmsl;     // logical blocks of all ranges
  std::array<std::byte, 2> reserved16;
  le16 aocs;
  std::array<std::byte, 4076> reserved20;
};
static_assert(sizeof(NvmIdentifyController) == 4096 && alignof(NvmIdentifyController) == 1);
static_assert(offsetof(NvmIdentifyController, wzsl) == 1 && offsetof(NvmIdentifyController, wusl) == 2 &&
              offsetof(NvmIdentifyController, dmrl) == 3 && offsetof(NvmIdentifyController, dmrsl) == 4 &&
              offsetof(NvmIdentifyController, dmsl) == 8 && offsetof(NvmIdentifyController, aocs) == 18);

}  // namespace weft::nvme
