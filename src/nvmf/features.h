// Get Features and Set Features: which features there are, what values they take, and what setting them does. Nothing can be saved (SV is
// refused), every default comes back with a controller reset. Runs on the controller's reactor. NVM Express Base 2.0 §5.15, §5.27.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "base/time.h"
#include "wire/nvme/features.h"
#include "wire/nvme/status.h"

namespace weft::nvmf {

class Controller;
struct Command;
enum class SubsystemKind : uint8_t;

/// Feature values that a host can change; defaults are what a controller reset brings back.
struct Features {
  bool is_write_cache_enabled = true;            // 06h
  uint32_t async_event_config = 0;               // 0Bh
  uint32_t arbitration = 0;                      // 01h
  uint32_t error_recovery = 0;                   // 05h
  uint32_t power_state = 0;                      // 02h
  uint32_t over_temperature = 0xffff;            // 04h, kelvin
  uint32_t under_temperature = 0;                // 04h, kelvin
  uint32_t write_atomicity = 0;                  // 0Ah
  std::array<std::byte, 512> host_behavior{};    // 16h
  // 0Eh: the timestamp was `timestamp_ms` at `timestamp_since`; a reset starts it at 0.
  uint64_t timestamp_ms = 0;
  Instant timestamp_since{};
  bool is_timestamp_set = false;
};

/// Complete a Get or Set Features command. Require: command.data holds the feature's data (Set) or room for it (Get).
void get_features(Controller& controller, Command& command);
void set_features(Controller& controller, Command& command);

/// Bytes of data that Get and Set Features of this feature transfer; 0 when it has none, or is unknown.
uint32_t feature_data_length(uint8_t fid);

/// Whether controllers of that kind have the feature.
bool has_feature(uint8_t fid, SubsystemKind kind);
/// The events that can be enabled with feature 0Bh: OAES, and the critical warnings, which need no announcement.
uint32_t async_event_mask(SubsystemKind kind);
/// Checks CDW11 of a feature whose value is a dword.
nvme::Status check_feature_value(nvme::Feature feature, uint32_t value, SubsystemKind kind);
/// Checks the data of feature 16h: reserved bytes are 0 and the others 0 or 1.
nvme::Status check_host_behavior(std::span<const std::byte> data);
/// The timestamp data of feature 0Eh at `now`.
nvme::Timestamp timestamp_at(const Features& features, Instant now);
/// Whether the (constant) composite temperature is beyond one of the thresholds of feature 04h.
bool is_temperature_critical(const Features& features);

}  // namespace weft::nvmf
