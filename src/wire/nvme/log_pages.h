// Log pages: identifiers, layouts and bits. NVM Express Base 2.0 §5.16.1. The discovery log is in fabrics/discovery.h.
#pragma once
#include "base/endian.h"
#include "wire/nvme/command.h"
#include "wire/nvme/le128.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::nvme {

/// CDW10 7:0 of Get Log Page.
enum class LogPage : uint8_t {
  kSupported = 0x00,
  kError = 0x01,
  kSmart = 0x02,
  kFirmwareSlot = 0x03,
  kChangedNamespaces = 0x04,
  kCommandEffects = 0x05,
  kSelfTest = 0x06,
  kTelemetryHost = 0x07,
  kTelemetryController = 0x08,
  kEnduranceGroup = 0x09,
  kAna = 0x0c,
  kPersistentEvent = 0x0d,
  kLbaStatus = 0x0e,
  kFeatureEffects = 0x12,
  kMiCommandEffects = 0x13,
  kDiscovery = 0x70,
  kReservationNotification = 0x80,
  kSanitizeStatus = 0x81,
};

/// The fields of a Get Log Page command, CDW10 to CDW14.
struct GetLogPage {
  uint8_t lid;
  uint8_t lsp;
  bool rae;  // retain the asynchronous event
  uint64_t length_bytes;
  uint64_t offset_bytes;  // LPO; an index when `is_index`
  bool is_index;          // OT
  uint16_t lsi;
  uint8_t csi;
  uint8_t uuid_index;

  static constexpr GetLogPage from(const Sqe& sqe) {
    const uint32_t cdw10 = sqe.cdw10, cdw11 = sqe.cdw11, cdw14 = sqe.cdw14;
    const uint64_t numd = uint64_t{bits<15, 0>(cdw11)} << 16 | bits<31, 16>(cdw10);
    return {.lid = uint8_t(bits<7, 0>(cdw10)),
            .lsp = uint8_t(bits<14, 8>(cdw10)),
            .rae = bit<15>(cdw10),
            .length_bytes = (numd + 1) * 4,
            .offset_bytes = uint64_t{sqe.cdw13} << 32 | uint32_t{sqe.cdw12},
            .is_index = bit<23>(cdw14),
            .lsi = uint16_t(bits<31, 16>(cdw11)),
            .csi = uint8_t(bits<31, 24>(cdw14)),
            .uuid_index = uint8_t(bits<6, 0>(cdw14))};
  }
};

/// LID 00h. Entry n describes LID n.
struct SupportedLogPages {
  static constexpr uint32_t kLsupp = 1u << 0;
  static constexpr uint32_t kIos = 1u << 1;    // the offset may be an index
  static constexpr unsigned kLidspShift = 16;  // 31:16 depend on the LID
  std::array<le32, 256> lid;
};
static_assert(sizeof(SupportedLogPages) == 1024);

/// LID 01h is a list of these, newest first; an entry with error_count 0 is unused.
struct ErrorLogEntry {
  static constexpr uint16_t kNoCid = 0xffff;                // the error belongs to no command
  static constexpr uint16_t kNoParameterLocation = 0xffff;  // the error belongs to no parameter
  le64 error_count;
  le16 sqid;
  le16 cid;
  le16 status_field;              // as in the CQE, with the phase bit
  le16 parameter_error_location;  // 7:0 byte, 10:8 bit of the command
  le64 lba;
  le32 nsid;
  uint8_t vendor_log_page;  // LID with more information, 0: none
  uint8_t trtype;
  uint8_t csi;
  uint8_t opcode;
  le64 command_specific;
  le16 transport_specific;
  std::array<std::byte, 21> reserved42;
  uint8_t log_page_version;
};
static_assert(sizeof(ErrorLogEntry) == 64 && alignof(ErrorLogEntry) == 1);
static_assert(offsetof(ErrorLogEntry, sqid) == 8 && offsetof(ErrorLogEntry, cid) == 10 &&
              offsetof(ErrorLogEntry, status_field) == 12 && offsetof(ErrorLogEntry, parameter_error_location) == 14 &&
              offsetof(ErrorLogEntry, lba) == 16 && offsetof(ErrorLogEntry, nsid) == 24 &&
              offsetof(ErrorLogEntry, vendor_log_page) == 28 && offsetof(ErrorLogEntry, trtype) == 29 &&
              offsetof(ErrorLogEntry, csi) == 30 && offsetof(ErrorLogEntry, opcode) == 31 &&
              offsetof(ErrorLogEntry, command_specific) == 32 && offsetof(ErrorLogEntry, transport_specific) == 40 &&
              offsetof(ErrorLogEntry, log_page_version) == 63);

/// LID 02h. Counters are since the beginning of the controller's life.
struct SmartLog {
  uint8_t critical_warning;
  le16 composite_temperature;  // kelvin
  uint8_t available_spare;     // per cent, as the next two
  uint8_t available_spare_threshold;
  uint8_t percentage_used;
  uint8_t endurance_group_warning;
  std::array<std::byte, 25> reserved7;
  Le128 data_units_read;  // 1000 x 512 bytes, rounded up
  Le128 data_units_written;
  Le128 host_read_commands;
  Le128 host_write_commands;
  Le128 controller_busy_time;  // minutes
  Le128 power_cycles;
  Le128 power_on_hours;
  Le128 unsafe_shutdowns;
  Le128 media_errors;
  Le128 error_log_entries;
  le32 warning_temperature_time;           // minutes
  le32 critical_temperature_time;          // minutes
  std::array<le16, 8> temperature_sensor;  // kelvin, 0: not there
  le32 thermal_transitions_1;
  le32 thermal_transitions_2;
  le32 thermal_time_1;  // seconds
  le32 thermal_time_2;  // seconds
  std::array<std::byte, 280> reserved232;
};
static_assert(sizeof(SmartLog) == 512 && alignof(SmartLog) == 1);
static_assert(offsetof(SmartLog, composite_temperature) == 1 && offsetof(SmartLog, available_spare) == 3 &&
              offsetof(SmartLog, available_spare_threshold) == 4 && offsetof(SmartLog, percentage_used) == 5 &&
              offsetof(SmartLog, endurance_group_warning) == 6 && offsetof(SmartLog, data_units_read) == 32 &&
              offsetof(SmartLog, data_units_written) == 48 && offsetof(SmartLog, host_read_commands) == 64 &&
              offsetof(SmartLog, host_write_commands) == 80 && offsetof(SmartLog, controller_busy_time) == 96 &&
              offsetof(SmartLog, power_cycles) == 112 && offsetof(SmartLog, power_on_hours) == 128 &&
              offsetof(SmartLog, unsafe_shutdowns) == 144 && offsetof(SmartLog, media_errors) == 160 &&
              offsetof(SmartLog, error_log_entries) == 176 && offsetof(SmartLog, warning_temperature_time) == 192 &&
              offsetof(SmartLog, critical_temperature_time) == 196 && offsetof(SmartLog, temperature_sensor) == 200);

inline constexpr uint64_t kSmartDataUnit = 512'000;  // bytes

// Critical warnings: byte 0 of the SMART log, and bits 7:0 of feature 0Bh.
inline constexpr uint8_t kWarningSpare = 1 << 0;
inline constexpr uint8_t kWarningTemperature = 1 << 1;
inline constexpr uint8_t kWarningReliability = 1 << 2;
inline constexpr uint8_t kWarningReadOnly = 1 << 3;
inline constexpr uint8_t kWarningVolatileBackup = 1 << 4;
inline constexpr uint8_t kWarningPersistentMemory = 1 << 5;

/// LID 03h.
struct FirmwareSlotLog {
  uint8_t afi;  // 2:0 slot in use, 6:4 slot after the next reset
  std::array<std::byte, 7> reserved1;
  std::array<std::array<char, 8>, 7> frs;  // ASCII, padded with spaces; NULs: the slot is empty
  std::array<std::byte, 448> reserved64;
};
static_assert(sizeof(FirmwareSlotLog) == 512 && offsetof(FirmwareSlotLog, frs) == 8);

/// LID 04h: NSIDs ascending, then zeroes; kNsidAll alone when more than fit have changed.
struct ChangedNamespaces {
  std::array<le32, 1024> nsid;
};
static_assert(sizeof(ChangedNamespaces) == 4096);

/// LID 05h. Entry n describes opcode n.
struct CommandEffects {
  static constexpr uint32_t kCsupp = 1u << 0;
  static constexpr uint32_t kLbcc = 1u << 1;               // changes logical blocks
  static constexpr uint32_t kNcc = 1u << 2;                // changes a namespace's capabilities
  static constexpr uint32_t kNic = 1u << 3;                // changes the inventory of namespaces
  static constexpr uint32_t kCcc = 1u << 4;                // changes the controller's capabilities
  static constexpr uint32_t kCseOneNamespace = 1u << 16;   // no other command to the namespace meanwhile
  static constexpr uint32_t kCseAllNamespaces = 2u << 16;  // no other command meanwhile
  static constexpr uint32_t kUuidSelection = 1u << 19;
  std::array<le32, 256> acs;   // admin commands
  std::array<le32, 256> iocs;  // I/O commands
  std::array<std::byte, 2048> reserved2048;
};
static_assert(sizeof(CommandEffects) == 4096 && offsetof(CommandEffects, iocs) == 1024);

/// LID 12h. Entry n describes FID n.
struct FeatureEffects {
  static constexpr uint32_t kFsupp = 1u << 0;
  static constexpr uint32_t kUdcc = 1u << 1;  // changes user data
  static constexpr uint32_t kNcc = 1u << 2;
  static constexpr uint32_t kNic = 1u << 3;
  static constexpr uint32_t kCcc = 1u << 4;
  static constexpr uint32_t kUuidSelection = 1u << 19;
  // FSP, 31:20: what the feature belongs to.
  static constexpr uint32_t kScopeNamespace = 1u << 20;
  static constexpr uint32_t kScopeController = 1u << 21;
  static constexpr uint32_t kScopeNvmSet = 1u << 22;
  static constexpr uint32_t kScopeEnduranceGroup = 1u << 23;
  static constexpr uint32_t kScopeDomain = 1u << 24;
  static constexpr uint32_t kScopeNvmSubsystem = 1u << 25;
  std::array<le32, 256> fid;
};
static_assert(sizeof(FeatureEffects) == 1024);

}  // namespace weft::nvme
