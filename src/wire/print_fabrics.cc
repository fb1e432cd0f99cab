// Dumps of the fabrics commands and of the discovery log.
#include "base/bytes.h"
#include "wire/print.h"
#include "wire/print_lines.h"
#include "wire/uuid.h"

#include <fmt/format.h>

namespace weft::fabrics {
namespace {

constexpr BitName kCattrNames[] = {{kCattrDisableSqFlowControl, "no SQ flow control"},
                                   {kCattrDisconnectSupport, "disconnects"}};
constexpr BitName kEflagsNames[] = {
    {kEflagsDupretinfo, "duplicate"}, {kEflagsEpcsd, "persistent"}, {kEflagsNcc, "no CDC"}};

std::string_view secure_channel_of(uint8_t treq) {
  switch (treq & 3) {
    case kTreqSecureNotSpecified:
      return "secure channel not specified";
    case kTreqSecureRequired:
      return "secure channel required";
    case kTreqSecureNotRequired:
      return "secure channel not required";
  }
  return "secure channel reserved";
}

std::string tsas_to_text(const DiscoveryLogEntry& entry) {
  const std::span<const std::byte> bytes(entry.tsas);
  if (Trtype(entry.trtype) == Trtype::kTcp) return fmt::format("sectype {}", view<TsasTcp>(bytes)->sectype);
  if (Trtype(entry.trtype) != Trtype::kRdma) return "none";
  const TsasRdma& rdma = *view<TsasRdma>(bytes);
  return fmt::format("qptype {} prtype {} cms {} pkey {:#06x}", rdma.qptype, rdma.prtype, rdma.cms, rdma.pkey);
}

}  // namespace

std::string_view name_of(Fctype fctype) {
  switch (fctype) {
    case Fctype::kPropertySet:
      return "Property Set";
    case Fctype::kConnect:
      return "Connect";
    case Fctype::kPropertyGet:
      return "Property Get";
    case Fctype::kAuthenticationSend:
      return "Authentication Send";
    case Fctype::kAuthenticationReceive:
      return "Authentication Receive";
    case Fctype::kDisconnect:
      return "Disconnect";
  }
  return "Unknown";
}

std::string_view name_of(Trtype trtype) {
  switch (trtype) {
    case Trtype::kRdma:
      return "rdma";
    case Trtype::kFibreChannel:
      return "fc";
    case Trtype::kTcp:
      return "tcp";
    case Trtype::kIntraHost:
      return "loop";
  }
  return "Unknown";
}

std::string_view name_of(Adrfam adrfam) {
  switch (adrfam) {
    case Adrfam::kIpv4:
      return "ipv4";
    case Adrfam::kIpv6:
      return "ipv6";
    case Adrfam::kInfiniBand:
      return "ib";
    case Adrfam::kFibreChannel:
      return "fc";
    case Adrfam::kIntraHost:
      return "loop";
  }
  return "Unknown";
}

std::string_view name_of(Subtype subtype) {
  switch (subtype) {
    case Subtype::kReferral:
      return "discovery subsystem referral";
    case Subtype::kNvm:
      return "nvme subsystem";
    case Subtype::kCurrentDiscovery:
      return "current discovery subsystem";
  }
  return "Unknown";
}

std::string to_text(const ConnectSqe& sqe) {
  return fmt::format("Connect cid {:#06x} recfmt {} qid {} sqsize {} cattr {:#04x}{} kato {} ms sgl [{}]", sqe.cid,
                     sqe.recfmt, sqe.qid, sqe.sqsize, sqe.cattr, bit_names(sqe.cattr, kCattrNames), sqe.kato,
                     to_text(sqe.sgl));
}

std::string to_text(const ConnectData& data) {
  const auto hostid = *view<Uuid>(data.hostid);
  return fmt::format("hostid {} cntlid {:#06x} subnqn \"{}\" hostnqn \"{}\"", to_text(hostid), data.cntlid,
                     shown(data.subnqn), shown(data.hostnqn));
}

std::string to_text(const PropertySqe& sqe) {
  const bool is_set = Fctype(sqe.fctype) == Fctype::kPropertySet;
  std::string out = fmt::format("{} cid {:#06x} attrib {:#04x} ofst {:#x}", name_of(Fctype(sqe.fctype)), sqe.cid,
                                sqe.attrib, sqe.ofst);
  return is_set ? fmt::format("{} value {:#x}", out, sqe.value) : out;
}

std::string to_text(const DisconnectSqe& sqe) {
  return fmt::format("Disconnect cid {:#06x} recfmt {}", sqe.cid, sqe.recfmt);
}

std::string to_text(const DiscoveryLogHeader& header) {
  return fmt::format("genctr {} numrec {} recfmt {} dlpf {:#04x} tdlpl {}", header.genctr, header.numrec, header.recfmt,
                     header.dlpf, header.tdlpl);
}

std::string to_text(const DiscoveryLogEntry& entry) {
  Lines out;
  out.add("trtype", "{} ({})", entry.trtype, name_of(Trtype(entry.trtype)));
  out.add("adrfam", "{} ({})", entry.adrfam, name_of(Adrfam(entry.adrfam)));
  out.add("subtype", "{} ({})", entry.subtype, name_of(Subtype(entry.subtype)));
  out.add("treq", "{:#04x} ({}{})", entry.treq, secure_channel_of(entry.treq),
          (entry.treq & kTreqDisableSqFlowControl) != 0 ? ", SQ flow control may be disabled" : "");
  out.add("portid", "{}", entry.portid);
  out.add("cntlid", "{:#06x}", entry.cntlid);
  out.add("asqsz", "{}", entry.asqsz);
  out.add_bits("eflags", entry.eflags, kEflagsNames);
  out.add("trsvcid", "{}", shown(entry.trsvcid));
  out.add("subnqn", "{}", shown(entry.subnqn));
  out.add("traddr", "{}", shown(entry.traddr));
  out.add("tsas", "{}", tsas_to_text(entry));
  return out.take();
}

}  // namespace weft::fabrics
