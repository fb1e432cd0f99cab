#include "nvmf/discovery_log.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "nvmf/subsystem.h"
#include "nvmf/target.h"
#include "wire/fabrics/connect.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

/// A listener as the asking host can use it.
struct Reachable {
  const ListenerRecord* listener;
  std::string address;
  bool is_ipv6;
  uint16_t port_id;  // PORTID, the same for every host
  bool is_port_local;
};

bool came_over_loopback(const Origin& origin) {
  return origin.is_loopback_listener || origin.local_host.starts_with("127.") || origin.local_host == "::1";
}

/// Whether a wildcard listener is behind the address at which the host reached us. An IPv6 one takes IPv4 connections too.
bool covers(const ListenerRecord& wildcard, const Origin& origin) { return wildcard.is_ipv6 || !origin.is_ipv6; }

/// A wildcard is shown as the address at which the host reached us: that one is known to be good.
std::vector<Reachable> reachable_listeners(std::span<const ListenerRecord> listeners, const Origin& origin) {
  std::vector<Reachable> reachable;
  uint16_t port_id = 0;
  for (const ListenerRecord& listener : listeners) {
    ++port_id;
    if (listener.is_loopback && !came_over_loopback(origin)) continue;
    if (listener.is_wildcard && !covers(listener, origin)) continue;
    Reachable each{&listener, listener.host, listener.is_ipv6, port_id, false};
    if (listener.is_wildcard) {
      each.address = origin.local_host;
      each.is_ipv6 = origin.is_ipv6;
    }
    each.is_port_local = listener.type == origin.type && listener.port == origin.local_port && each.address == origin.local_host;
    reachable.push_back(std::move(each));
  }
  return reachable;
}

/// DUPRETINFO: the log reads the same on every listener. It does not where a wildcard stands for the address asked at, or where some listeners
/// are only shown over loopback.
bool is_log_the_same_everywhere(std::span<const Reachable> reachable) {
  if (reachable.size() < 2) return false;
  return std::ranges::all_of(reachable, [&](const Reachable& each) {
    return !each.listener->is_wildcard && each.listener->is_loopback == reachable.front().listener->is_loopback;
  });
}

uint8_t address_family(const Reachable& reachable) {
  if (reachable.listener->type == TransportType::kLoop) return uint8_t(fabrics::Adrfam::kIntraHost);
  return uint8_t(reachable.is_ipv6 ? fabrics::Adrfam::kIpv6 : fabrics::Adrfam::kIpv4);
}

void describe_transport(fabrics::DiscoveryLogEntry& entry, TransportType type) {
  if (type != TransportType::kRdma) return;  // TCP without TLS: SECTYPE 0
  const fabrics::TsasRdma tsas{.qptype = uint8_t(fabrics::RdmaQptype::kConnected),
                               .prtype = uint8_t(fabrics::RdmaPrtype::kNone),
                               .cms = fabrics::kRdmaCms,
                               .reserved3 = {},
                               .pkey = {},
                               .reserved10 = {}};
  std::memcpy(entry.tsas.data(), &tsas, sizeof tsas);
}

fabrics::DiscoveryLogEntry entry_for(const Reachable& reachable, std::string_view nqn, fabrics::Subtype subtype,
                                     uint32_t admin_queue_entries) {
  fabrics::DiscoveryLogEntry entry{};
  entry.trtype = uint8_t(reachable.listener->type);
  entry.adrfam = address_family(reachable);
  entry.subtype = uint8_t(subtype);
  entry.treq = fabrics::kTreqSecureNotRequired | fabrics::kTreqDisableSqFlowControl;
  entry.portid = reachable.port_id;
  entry.cntlid = fabrics::kCntlidDynamic;
  entry.asqsz = uint16_t(std::clamp<uint32_t>(admin_queue_entries, fabrics::kAsqszMin, 0xffff));
  set_nul_padded(entry.trsvcid, std::to_string(reachable.listener->port));
  set_nul_padded(entry.subnqn, nqn);
  set_nul_padded(entry.traddr, reachable.address);
  describe_transport(entry, reachable.listener->type);
  return entry;
}

}  // namespace

DiscoveryLog DiscoveryLog::build(const DiscoverySource& source, std::string_view host_nqn, const Origin& origin) {
  DiscoveryLog log;
  log.generation_ = source.generation;
  const auto reachable = reachable_listeners(source.listeners, origin);
  const bool is_same_everywhere = is_log_the_same_everywhere(reachable);
  for (const Reachable& each : reachable) {
    for (const auto& view : source.subsystems) {
      const Subsystem& subsystem = view->subsystem;
      const bool is_allowed = subsystem.is_discovery() || view->access.allows(host_nqn, each.listener->is_loopback);
      if (!is_allowed || view->is_leaving) continue;
      const auto subtype = subsystem.is_discovery() ? fabrics::Subtype::kCurrentDiscovery : fabrics::Subtype::kNvm;
      auto entry = entry_for(each, subsystem.config().nqn, subtype, source.admin_queue_entries);
      if (subsystem.is_discovery()) {
        entry.eflags = uint16_t(fabrics::kEflagsEpcsd | (is_same_everywhere ? fabrics::kEflagsDupretinfo : 0));
      }
      log.entries_.push_back({entry, each.is_port_local});
    }
  }
  return log;
}

std::vector<std::byte> DiscoveryLog::page(uint8_t lsp) const {
  const bool is_filtered = (lsp & fabrics::kLspPortLocal) != 0;
  std::vector<std::byte> page(sizeof(fabrics::DiscoveryLogHeader));
  uint64_t records = 0;
  for (const Entry& entry : entries_) {
    if (is_filtered && !entry.is_port_local) continue;
    const auto bytes = bytes_of(entry.wire);
    page.insert(page.end(), bytes.begin(), bytes.end());
    ++records;
  }
  fabrics::DiscoveryLogHeader header{};
  header.genctr = generation_;
  header.numrec = records;
  header.dlpf = is_filtered ? fabrics::kLspPortLocal : 0;
  std::memcpy(page.data(), &header, sizeof header);
  return page;
}

}  // namespace weft::nvmf
