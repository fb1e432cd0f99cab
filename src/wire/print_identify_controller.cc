// Dumps of the Identify Controller structures.
#include "wire/print.h"
#include "wire/print_lines.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::nvme {
namespace {

constexpr BitName kCmicNames[] = {{kCmicMultiPort, "multi-port"},
                                  {kCmicMultiController, "multi-controller"},
                                  {kCmicSrIov, "SR-IOV"},
                                  {kCmicAna, "ANA"}};
constexpr BitName kOaesNames[] = {{kOaesNamespaceAttribute, "namespace attribute"},
                                  {kOaesFirmwareActivation, "firmware activation"},
                                  {kOaesAnaChange, "ANA change"},
                                  {kOaesPredictableLatency, "predictable latency"},
                                  {kOaesLbaStatus, "LBA status"},
                                  {kOaesEnduranceGroup, "endurance group"},
                                  {kOaesNormalShutdown, "normal shutdown"},
                                  {kOaesZoneDescriptor, "zone descriptor"},
                                  {kOaesDiscoveryLog, "discovery log"}};
constexpr BitName kCtrattNames[] = {{kCtrattHostId128, "128-bit host identifier"},
                                    {kCtrattNonOperationalPermissive, "non-operational permissive"},
                                    {kCtrattNvmSets, "NVM sets"},
                                    {kCtrattReadRecoveryLevels, "read recovery levels"},
                                    {kCtrattEnduranceGroups, "endurance groups"},
                                    {kCtrattPredictableLatency, "predictable latency"},
                                    {kCtrattTbkas, "traffic based keep alive"},
                                    {kCtrattNamespaceGranularity, "namespace granularity"},
                                    {kCtrattSqAssociations, "SQ associations"},
                                    {kCtrattUuidList, "UUID list"},
                                    {kCtrattMultiDomain, "multi-domain"},
                                    {kCtrattFixedCapacity, "fixed capacity"},
                                    {kCtrattVariableCapacity, "variable capacity"},
                                    {kCtrattDeleteEnduranceGroup, "delete endurance group"},
                                    {kCtrattDeleteNvmSet, "delete NVM set"},
                                    {kCtrattElbas, "extended LBA formats"}};
constexpr BitName kOacsNames[] = {{kOacsSecurity, "security"},
                                  {kOacsFormat, "format"},
                                  {kOacsFirmware, "firmware"},
                                  {kOacsNamespaceManagement, "namespace management"},
                                  {kOacsSelfTest, "self-test"},
                                  {kOacsDirectives, "directives"},
                                  {kOacsNvmeMi, "NVMe-MI"},
                                  {kOacsVirtualization, "virtualization"},
                                  {kOacsDoorbellBuffer, "doorbell buffer"},
                                  {kOacsGetLbaStatus, "get LBA status"},
                                  {kOacsLockdown, "lockdown"}};
constexpr BitName kLpaNames[] = {{kLpaSmartPerNamespace, "SMART per namespace"},
                                 {kLpaCommandEffects, "command effects"},
                                 {kLpaExtendedData, "extended data"},
                                 {kLpaTelemetry, "telemetry"},
                                 {kLpaPersistentEvent, "persistent event"},
                                 {kLpaSupportedPages, "supported log pages"},
                                 {kLpaTelemetryArea4, "telemetry area 4"}};
constexpr BitName kAnacapNames[] = {{kAnacapOptimized, "optimized"},
                                    {kAnacapNonOptimized, "non-optimized"},
                                    {kAnacapInaccessible, "inaccessible"},
                                    {kAnacapPersistentLoss, "persistent loss"},
                                    {kAnacapChange, "change"},
                                    {kAnacapGroupIdFixed, "group fixed"},
                                    {kAnacapGroupIdManaged, "group managed"}};
constexpr BitName kOncsNames[] = {{kOncsCompare, "compare"},
                                  {kOncsWriteUncorrectable, "write uncorrectable"},
                                  {kOncsDatasetManagement, "dataset management"},
                                  {kOncsWriteZeroes, "write zeroes"},
                                  {kOncsSaveSelect, "save and select"},
                                  {kOncsReservations, "reservations"},
                                  {kOncsTimestamp, "timestamp"},
                                  {kOncsVerify, "verify"},
                                  {kOncsCopy, "copy"}};
constexpr BitName kFusesNames[] = {{kFusesCompareAndWrite, "compare and write"}};
constexpr BitName kFnaNames[] = {{kFnaFormatAll, "format all"},
                                 {kFnaEraseAll, "erase all"},
                                 {kFnaCryptoErase, "crypto erase"},
                                 {kFnaNoBroadcast, "no broadcast"}};
constexpr BitName kSglsNames[] = {{kSglsSupported, "supported"},
                                  {kSglsSupportedDwordAligned, "dword aligned"},
                                  {kSglsKeyedDataBlock, "keyed data block"},
                                  {kSglsBitBucket, "bit bucket"},
                                  {kSglsMptrByteAligned, "MPTR byte aligned"},
                                  {kSglsLongerThanData, "longer than data"},
                                  {kSglsMptrSgl, "MPTR SGL"},
                                  {kSglsOffset, "offset"},
                                  {kSglsTransportDataBlock, "transport data block"}};
constexpr BitName kFcattNames[] = {{kFcattStaticControllers, "static controllers"}};
constexpr BitName kOfcsNames[] = {{kOfcsDisconnect, "disconnect"}};

std::string_view name_of(ControllerType type) {
  switch (type) {
    case ControllerType::kNotReported:
      return "not reported";
    case ControllerType::kIo:
      return "I/O";
    case ControllerType::kDiscovery:
      return "discovery";
    case ControllerType::kAdministrative:
      return "administrative";
  }
  return "reserved";
}

std::string_view name_of(DiscoveryControllerType type) {
  switch (type) {
    case DiscoveryControllerType::kNotReported:
      return "not reported";
    case DiscoveryControllerType::kDirect:
      return "direct";
    case DiscoveryControllerType::kCentral:
      return "central";
  }
  return "reserved";
}

std::string_view flush_all_of(uint8_t vwc) {
  switch (vwc & 0x6) {
    case kVwcFlushAllSupported:
      return "flush of all namespaces";
    case kVwcFlushAllUnsupported:
      return "no flush of all namespaces";
  }
  return "flush of all namespaces not reported";
}

std::string version_to_text(uint32_t ver) {
  return fmt::format("{:#x} ({}.{}.{})", ver, bits<31, 16>(ver), bits<15, 8>(ver), bits<7, 0>(ver));
}

/// Bytes 0 to 255: who the controller is.
void add_identity(Lines& out, const IdentifyController& id) {
  out.add("vid", "{:#06x}", id.vid);
  out.add("ssvid", "{:#06x}", id.ssvid);
  out.add("sn", "{}", shown(id.sn));
  out.add("mn", "{}", shown(id.mn));
  out.add("fr", "{}", shown(id.fr));
  out.add("rab", "{}", id.rab);
  out.add("ieee", "{:02x}{:02x}{:02x}", id.ieee[2], id.ieee[1], id.ieee[0]);
  out.add_bits("cmic", id.cmic, kCmicNames);
  out.add("mdts", "{}", id.mdts);
  out.add("cntlid", "{:#06x}", id.cntlid);
  out.add("ver", "{}", version_to_text(id.ver));
  out.add("rtd3r", "{} us", id.rtd3r);
  out.add("rtd3e", "{} us", id.rtd3e);
  out.add_bits("oaes", id.oaes, kOaesNames);
  out.add_bits("ctratt", id.ctratt, kCtrattNames);
  out.add("rrls", "{:#06x}", id.rrls);
  out.add("cntrltype", "{} ({})", id.cntrltype, name_of(ControllerType(id.cntrltype)));
  out.add("fguid", "{}", hex<std::byte>(id.fguid));
  out.add("crdt1", "{}", id.crdt1);
  out.add("crdt2", "{}", id.crdt2);
  out.add("crdt3", "{}", id.crdt3);
  out.add("nvmsr", "{:#04x}", id.nvmsr);
  out.add("vwci", "{:#04x}", id.vwci);
  out.add("mec", "{:#04x}", id.mec);
}

/// Bytes 256 to 511: the admin command set and what it manages.
void add_admin(Lines& out, const IdentifyController& id) {
  out.add_bits("oacs", id.oacs, kOacsNames);
  out.add("acl", "{}", id.acl);
  out.add("aerl", "{}", id.aerl);
  out.add("frmw", "{:#04x}", id.frmw);
  out.add_bits("lpa", id.lpa, kLpaNames);
  out.add("elpe", "{}", id.elpe);
  out.add("npss", "{}", id.npss);
  out.add("avscc", "{:#04x}", id.avscc);
  out.add("apsta", "{:#04x}", id.apsta);
  out.add("wctemp", "{} K", id.wctemp);
  out.add("cctemp", "{} K", id.cctemp);
  out.add("mtfa", "{}", id.mtfa);
  out.add("hmpre", "{}", id.hmpre);
  out.add("hmmin", "{}", id.hmmin);
  out.add("tnvmcap", "{}", decimal(id.tnvmcap));
  out.add("unvmcap", "{}", decimal(id.unvmcap));
  out.add("rpmbs", "{:#010x}", id.rpmbs);
  out.add("edstt", "{} min", id.edstt);
  out.add("dsto", "{:#04x}", id.dsto);
  out.add("fwug", "{}", id.fwug);
  out.add("kas", "{} ({} ms)", id.kas, uint32_t{id.kas} * 100);
  out.add("hctma", "{:#06x}", id.hctma);
  out.add("mntmt", "{} K", id.mntmt);
  out.add("mxtmt", "{} K", id.mxtmt);
  out.add("sanicap", "{:#010x}", id.sanicap);
  out.add("hmminds", "{}", id.hmminds);
  out.add("hmmaxd", "{}", id.hmmaxd);
  out.add("nsetidmax", "{}", id.nsetidmax);
  out.add("endgidmax", "{}", id.endgidmax);
  out.add("anatt", "{} s", id.anatt);
  out.add_bits("anacap", id.anacap, kAnacapNames);
  out.add("anagrpmax", "{}", id.anagrpmax);
  out.add("nanagrpid", "{}", id.nanagrpid);
  out.add("pels", "{}", id.pels);
  out.add("domainid", "{}", id.domain_identifier);
  out.add("megcap", "{}", decimal(id.megcap));
  out.add("cqt", "{} ms", id.cqt);
}

/// Bytes 512 to 1023: the I/O command sets, and the subsystem's name.
void add_io(Lines& out, const IdentifyController& id) {
  out.add("sqes", "{:#04x}", id.sqes);
  out.add("cqes", "{:#04x}", id.cqes);
  out.add("maxcmd", "{}", id.maxcmd);
  out.add("nn", "{}", id.nn);
  out.add_bits("oncs", id.oncs, kOncsNames);
  out.add_bits("fuses", id.fuses, kFusesNames);
  out.add_bits("fna", id.fna, kFnaNames);
  out.add("vwc", "{:#04x} ({}present, {})", id.vwc, (id.vwc & kVwcPresent) != 0 ? "" : "not ", flush_all_of(id.vwc));
  out.add("awun", "{}", id.awun);
  out.add("awupf", "{}", id.awupf);
  out.add("icsvscc", "{:#04x}", id.icsvscc);
  out.add("nwpc", "{:#04x}", id.nwpc);
  out.add("acwu", "{}", id.acwu);
  out.add("ocfs", "{:#06x}", id.ocfs);
  out.add_bits("sgls", id.sgls, kSglsNames);
  out.add("mnan", "{}", id.mnan);
  out.add("maxdna", "{}", decimal(id.maxdna));
  out.add("maxcna", "{}", id.maxcna);
  out.add("subnqn", "{}", shown(id.subnqn));
}

/// Bytes 1792 to 3071: fabrics and power states.
void add_fabrics(Lines& out, const IdentifyController& id) {
  out.add("ioccsz", "{} ({} bytes)", id.ioccsz, uint64_t{id.ioccsz} * kCapsuleUnit);
  out.add("iorcsz", "{} ({} bytes)", id.iorcsz, uint64_t{id.iorcsz} * kCapsuleUnit);
  out.add("icdoff", "{}", id.icdoff);
  out.add_bits("fcatt", id.fcatt, kFcattNames);
  out.add("msdbd", "{}", id.msdbd);
  out.add_bits("ofcs", id.ofcs, kOfcsNames);
  out.add("dctype", "{} ({})", id.dctype, name_of(DiscoveryControllerType(id.dctype)));
  const size_t states = std::min(size_t{id.npss} + 1, id.psd.size());
  for (size_t i = 0; i < states; ++i) out.add(fmt::format("psd {}", i), "{}", to_text(id.psd[i]));
}

}  // namespace

std::string to_text(const IdentifyController& id) {
  Lines out;
  add_identity(out, id);
  add_admin(out, id);
  add_io(out, id);
  add_fabrics(out, id);
  return out.take();
}

std::string to_text(const NvmIdentifyController& id) {
  Lines out;
  out.add("vsl", "{}", id.vsl);
  out.add("wzsl", "{}", id.wzsl);
  out.add("wusl", "{}", id.wusl);
  out.add("dmrl", "{}", id.dmrl);
  out.add("dmrsl", "{}", id.dmrsl);
  out.add("dmsl", "{}", id.dmsl);
  out.add("aocs", "{:#06x}", id.aocs);
  return out.take();
}

std::string to_text(const PowerStateDescriptor& psd) {
  return fmt::format("mp {} flags {:#04x} enlat {} us exlat {} us rrt {} rrl {} rwt {} rwl {} idlp {} actp {}", psd.mp,
                     psd.flags, psd.enlat, psd.exlat, psd.rrt, psd.rrl, psd.rwt, psd.rwl, psd.idlp, psd.actp);
}

}  // namespace weft::nvme
