// The Get Log Page command and the pages of a controller; the discovery log has its own file. Runs on the controller's reactor.
// NVM Express Base 2.0 §5.16.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "base/time.h"
#include "nvmf/error_log.h"
#include "nvmf/namespace.h"
#include "wire/nvme/log_pages.h"

namespace weft::nvmf {

class Controller;
struct Command;
struct Features;
enum class SubsystemKind : uint8_t;

/// There is no sensor behind the composite temperature, and the field has no value for "not measured": hosts show 0 as -273 °C and raise
/// alarms. This constant, 27 °C, is what every controller reports.
inline constexpr uint16_t kCompositeTemperature = 300;  // kelvin

/// Completes a Get Log Page command. Requires: command.data is writable and holds at least the bytes that NUMD asks for.
void get_log_page(Controller& controller, Command& command);

// --- what it answers with, as pure functions --------------------------------------------------------------------------------------------
/// Whether controllers of that kind have the page.
bool has_log_page(uint8_t lid, SubsystemKind kind);
nvme::SupportedLogPages supported_log_pages_page(SubsystemKind kind);
nvme::CommandEffects command_effects_page(SubsystemKind kind);
nvme::FeatureEffects feature_effects_page(SubsystemKind kind);
nvme::FirmwareSlotLog firmware_slot_page();
/// As many entries as the log can hold, the newest first, the unused ones zero.
std::vector<std::byte> error_page(const ErrorLog& log);

/// Sums over the shards, of one namespace or of several.
struct NamespaceTotals {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t media_errors = 0;
  void add(std::span<const NamespaceCounters> counters_by_shard);
};
/// What the SMART log is made of.
struct Health {
  NamespaceTotals totals;
  uint64_t errors = 0;  // entries ever made in the error log
  Duration uptime;      // of the target
  bool is_degraded = false;  // a namespace has failed
};
nvme::SmartLog smart_page(const Health& health, const Features& features);

}  // namespace weft::nvmf
