#include "app/discovery_words.h"

namespace weft::app {

std::string_view word_of(fabrics::Trtype type) {
  switch (type) {
    case fabrics::Trtype::kRdma: return "rdma";
    case fabrics::Trtype::kFibreChannel: return "fc";
    case fabrics::Trtype::kTcp: return "tcp";
    case fabrics::Trtype::kIntraHost: return "loop";
  }
  return "unrecognized";
}

std::string_view word_of(fabrics::Adrfam family) {
  switch (family) {
    case fabrics::Adrfam::kIpv4: return "ipv4";
    case fabrics::Adrfam::kIpv6: return "ipv6";
    case fabrics::Adrfam::kInfiniBand: return "infiniband";
    case fabrics::Adrfam::kFibreChannel: return "fibre-channel";
    case fabrics::Adrfam::kIntraHost: return "loop";
  }
  return "unrecognized";
}

std::string_view word_of(fabrics::Subtype subtype) {
  switch (subtype) {
    case fabrics::Subtype::kReferral: return "discovery subsystem referral";
    case fabrics::Subtype::kNvm: return "nvme subsystem";
    case fabrics::Subtype::kCurrentDiscovery: return "current discovery subsystem";
  }
  return "unrecognized";
}

std::string_view word_of(fabrics::Sectype type) {
  switch (type) {
    case fabrics::Sectype::kNone: return "none";
    case fabrics::Sectype::kTls12: return "tls";
    case fabrics::Sectype::kTls13: return "tls13";
  }
  return "unrecognized";
}

std::string_view word_of(fabrics::RdmaPrtype type) {
  switch (type) {
    case fabrics::RdmaPrtype::kNone: return "not specified";
    case fabrics::RdmaPrtype::kInfiniBand: return "infiniband";
    case fabrics::RdmaPrtype::kRoce: return "roce";
    case fabrics::RdmaPrtype::kRoceV2: return "roce-v2";
    case fabrics::RdmaPrtype::kIwarp: return "iwarp";
  }
  return "unrecognized";
}

std::string_view word_of(fabrics::RdmaQptype type) {
  switch (type) {
    case fabrics::RdmaQptype::kConnected: return "connected";
    case fabrics::RdmaQptype::kDatagram: return "datagram";
  }
  return "unrecognized";
}

std::string_view rdma_cms_word(uint8_t cms) { return cms == fabrics::kRdmaCms ? "rdma-cm" : "unrecognized"; }

std::string treq_words(uint8_t treq) {
  constexpr std::string_view kSecure[] = {"not specified", "required", "not required", "reserved"};
  std::string text{kSecure[treq & 3]};
  if ((treq & fabrics::kTreqDisableSqFlowControl) != 0) text += ", sq flow control disable supported";
  return text;
}

std::string eflags_words(uint16_t eflags) {
  std::string text;
  const auto add = [&](uint16_t flag, std::string_view name) {
    if ((eflags & flag) == 0) return;
    if (!text.empty()) text += ", ";
    text += name;
  };
  add(fabrics::kEflagsEpcsd, "explicit discovery connections");
  add(fabrics::kEflagsDupretinfo, "duplicate discovery information");
  add(fabrics::kEflagsNcc, "no cdc connectivity");
  return text.empty() ? "none" : text;
}

}  // namespace weft::app
