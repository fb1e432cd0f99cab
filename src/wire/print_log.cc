// Dumps of log pages, events and the features that have data.
#include "wire/print.h"
#include "wire/print_lines.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::nvme {
namespace {

constexpr BitName kWarningNames[] = {{kWarningSpare, "spare"},
                                     {kWarningTemperature, "temperature"},
                                     {kWarningReliability, "reliability"},
                                     {kWarningReadOnly, "read-only"},
                                     {kWarningVolatileBackup, "volatile memory backup"},
                                     {kWarningPersistentMemory, "persistent memory region"}};
constexpr BitName kEffectNames[] = {{CommandEffects::kLbcc, "LBCC"},
                                    {CommandEffects::kNcc, "NCC"},
                                    {CommandEffects::kNic, "NIC"},
                                    {CommandEffects::kCcc, "CCC"},
                                    {CommandEffects::kCseOneNamespace, "alone on its namespace"},
                                    {CommandEffects::kCseAllNamespaces, "alone"},
                                    {CommandEffects::kUuidSelection, "UUID selection"}};
constexpr BitName kFeatureNames[] = {{FeatureEffects::kUdcc, "UDCC"},
                                     {FeatureEffects::kNcc, "NCC"},
                                     {FeatureEffects::kNic, "NIC"},
                                     {FeatureEffects::kCcc, "CCC"},
                                     {FeatureEffects::kUuidSelection, "UUID selection"},
                                     {FeatureEffects::kScopeNamespace, "namespace"},
                                     {FeatureEffects::kScopeController, "controller"},
                                     {FeatureEffects::kScopeNvmSet, "NVM set"},
                                     {FeatureEffects::kScopeEnduranceGroup, "endurance group"},
                                     {FeatureEffects::kScopeDomain, "domain"},
                                     {FeatureEffects::kScopeNvmSubsystem, "NVM subsystem"}};

/// A line per entry whose `supported` bit is set.
template <size_t N>
void add_supported(Lines& out, std::string_view what, const std::array<le32, N>& entries, uint32_t supported,
                   std::span<const BitName> names) {
  for (size_t i = 0; i < N; ++i) {
    if ((entries[i] & supported) != 0) out.add_bits(fmt::format("{} {:02x}h", what, i), entries[i], names);
  }
}

}  // namespace

std::string to_text(const SupportedLogPages& log) {
  static constexpr BitName kNames[] = {{SupportedLogPages::kIos, "index offset"}};
  Lines out;
  add_supported(out, "lid", log.lid, SupportedLogPages::kLsupp, kNames);
  return out.take();
}

std::string to_text(const ErrorLogEntry& entry) {
  return fmt::format(
      "error {} sqid {} cid {:#06x} status {} location byte {} bit {} lba {} nsid {:#x} trtype {} csi {} opcode "
      "{:02x}h "
      "command specific {:#x} transport specific {:#x}",
      entry.error_count, entry.sqid, entry.cid, to_text(Status::from_cqe(entry.status_field)),
      bits<7, 0>(uint16_t{entry.parameter_error_location}), bits<10, 8>(uint16_t{entry.parameter_error_location}),
      entry.lba, entry.nsid, entry.trtype, entry.csi, entry.opcode, entry.command_specific, entry.transport_specific);
}

std::string to_text(const SmartLog& log) {
  Lines out(26);
  out.add_bits("critical_warning", log.critical_warning, kWarningNames);
  out.add("composite_temperature", "{} K", log.composite_temperature);
  out.add("available_spare", "{} %", log.available_spare);
  out.add("available_spare_threshold", "{} %", log.available_spare_threshold);
  out.add("percentage_used", "{} %", log.percentage_used);
  out.add("endurance_group_warning", "{:#04x}", log.endurance_group_warning);
  out.add("data_units_read", "{}", decimal(log.data_units_read));
  out.add("data_units_written", "{}", decimal(log.data_units_written));
  out.add("host_read_commands", "{}", decimal(log.host_read_commands));
  out.add("host_write_commands", "{}", decimal(log.host_write_commands));
  out.add("controller_busy_time", "{} min", decimal(log.controller_busy_time));
  out.add("power_cycles", "{}", decimal(log.power_cycles));
  out.add("power_on_hours", "{}", decimal(log.power_on_hours));
  out.add("unsafe_shutdowns", "{}", decimal(log.unsafe_shutdowns));
  out.add("media_errors", "{}", decimal(log.media_errors));
  out.add("error_log_entries", "{}", decimal(log.error_log_entries));
  out.add("warning_temperature_time", "{} min", log.warning_temperature_time);
  out.add("critical_temperature_time", "{} min", log.critical_temperature_time);
  for (size_t i = 0; i < log.temperature_sensor.size(); ++i) {
    if (uint16_t{log.temperature_sensor[i]} != 0)
      out.add(fmt::format("temperature_sensor_{}", i + 1), "{} K", log.temperature_sensor[i]);
  }
  out.add("thermal_transitions_1", "{}", log.thermal_transitions_1);
  out.add("thermal_transitions_2", "{}", log.thermal_transitions_2);
  out.add("thermal_time_1", "{} s", log.thermal_time_1);
  out.add("thermal_time_2", "{} s", log.thermal_time_2);
  return out.take();
}

std::string to_text(const FirmwareSlotLog& log) {
  Lines out;
  out.add("afi", "{:#04x} (active {}, next {})", log.afi, log.afi & 7, log.afi >> 4 & 7);
  for (size_t i = 0; i < log.frs.size(); ++i) {
    const std::string revision = shown(log.frs[i]);
    if (!revision.empty()) out.add(fmt::format("frs{}", i + 1), "{}", revision);
  }
  return out.take();
}

std::string to_text(const ChangedNamespaces& log) {
  if (uint32_t{log.nsid[0]} == kNsidAll) return "more namespaces than fit";
  const auto end = std::find(log.nsid.begin(), log.nsid.end(), le32{0});
  return fmt::format("nsids [{}]", fmt::join(log.nsid.begin(), end, ", "));
}

std::string to_text(const CommandEffects& log) {
  Lines out;
  add_supported(out, "admin", log.acs, CommandEffects::kCsupp, kEffectNames);
  add_supported(out, "io", log.iocs, CommandEffects::kCsupp, kEffectNames);
  return out.take();
}

std::string to_text(const FeatureEffects& log) {
  Lines out;
  add_supported(out, "fid", log.fid, FeatureEffects::kFsupp, kFeatureNames);
  return out.take();
}

std::string to_text(const AsyncEvent& event) {
  return fmt::format("event type {} info {:02x}h log page {:02x}h", int(event.type), event.info, int(event.log_page));
}

std::string to_text(const Timestamp& timestamp) {
  return fmt::format("timestamp {} ms attributes {:#04x}", timestamp.timestamp_ms, timestamp.attributes);
}

std::string to_text(const HostBehavior& behavior) {
  return fmt::format("acre {} etdas {} lbafee {} hdisns {} cdfe {:#06x}", behavior.acre, behavior.etdas,
                     behavior.lbafee, behavior.hdisns, behavior.cdfe);
}

}  // namespace weft::nvme
