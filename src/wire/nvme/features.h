// Features: identifiers, the dwords and data structures of those the project has, and asynchronous events, which
// feature 0Bh enables. NVM Express Base 2.0 §5.2 (events), §5.15 (Get Features), §5.27 (Set Features).
#pragma once
#include "base/bits.h"
#include "base/endian.h"
#include "wire/nvme/identify_controller.h"
#include "wire/nvme/log_pages.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::nvme {

/// CDW10 7:0 of Get and Set Features.
enum class Feature : uint8_t {
  kArbitration = 0x01,
  kPowerManagement = 0x02,
  kTemperatureThreshold = 0x04,
  kErrorRecovery = 0x05,
  kVolatileWriteCache = 0x06,
  kNumberOfQueues = 0x07,
  kInterruptCoalescing = 0x08,
  kInterruptVector = 0x09,
  kWriteAtomicity = 0x0a,
  kAsyncEventConfig = 0x0b,
  kTimestamp = 0x0e,
  kKeepAliveTimer = 0x0f,
  kHostBehavior = 0x16,
  kSanitizeConfig = 0x17,
  kIocsProfile = 0x19,
  kHostIdentifier = 0x81,
  kReservationNotificationMask = 0x82,
  kReservationPersistence = 0x83,
  kNamespaceWriteProtect = 0x84,
};

inline constexpr uint32_t kSetFeaturesSave = 1u << 31;  // CDW10 SV

/// CDW10 10:8 of Get Features.
enum class FeatureSelect : uint8_t { kCurrent = 0, kDefault = 1, kSaved = 2, kCapabilities = 3 };
constexpr uint8_t feature_select(uint32_t cdw10) { return uint8_t(bits<10, 8>(cdw10)); }

// CDW0 of Get Features with kCapabilities.
inline constexpr uint32_t kFeatureSaveable = 1u << 0;
inline constexpr uint32_t kFeatureNamespaceSpecific = 1u << 1;
inline constexpr uint32_t kFeatureChangeable = 1u << 2;

inline constexpr uint32_t kWriteCacheEnable = 1u << 0;        // feature 06h, CDW11 WCE
inline constexpr uint32_t kErrorRecoveryDulbe = 1u << 16;     // feature 05h, CDW11 DULBE; 15:0 TLER, 100 ms
inline constexpr uint32_t kHostIdentifierExtended = 1u << 0;  // feature 81h, CDW11 EXHID: 16 bytes instead of 8

/// Feature 07h: counts of I/O queues. On the wire both are 0-based: 15:0 submission, 31:16 completion.
struct NumberOfQueues {
  uint32_t submission;  // 1..65536
  uint32_t completion;

  static constexpr NumberOfQueues from_wire(uint32_t dword) {
    return {bits<15, 0>(dword) + 1, bits<31, 16>(dword) + 1};
  }
  /// Requires: both counts are in 1..65536.
  constexpr uint32_t to_wire() const { return (completion - 1) << 16 | (submission - 1); }
  /// False when either field is FFFFh, which Set Features refuses.
  constexpr bool is_valid() const { return submission <= 0xffff && completion <= 0xffff; }
};

/// Feature 0Eh. Byte 6: bit 0 the clock has stopped at times, 3:1 origin.
struct Timestamp {
  static constexpr uint8_t kSynch = 1 << 0;
  static constexpr uint8_t kOriginReset = 0 << 1;  // counts from the last controller reset
  static constexpr uint8_t kOriginSet = 1 << 1;    // counts from what Set Features gave
  le48 timestamp_ms;                               // since 1970-01-01 UTC
  uint8_t attributes;
  std::byte reserved7;
};
static_assert(sizeof(Timestamp) == 8 && offsetof(Timestamp, attributes) == 6);

/// Feature 16h. Each byte is 0 or 1.
struct HostBehavior {
  uint8_t acre;    // the host honours CRD and CRDT1..3
  uint8_t etdas;   // telemetry data area 4
  uint8_t lbafee;  // extended LBA formats
  uint8_t hdisns;
  le16 cdfe;  // bit n: Copy descriptor format n
  std::array<std::byte, 506> reserved6;
};
static_assert(sizeof(HostBehavior) == 512 && alignof(HostBehavior) == 1 && offsetof(HostBehavior, lbafee) == 2 &&
              offsetof(HostBehavior, hdisns) == 3 && offsetof(HostBehavior, cdfe) == 4);

/// CDW0 2:0 of an Asynchronous Event Request's completion.
enum class AsyncEventType : uint8_t {
  kError = 0,
  kSmart = 1,
  kNotice = 2,
  kImmediate = 3,
  kOneShot = 4,
  kIoCommandSet = 6,
  kVendor = 7
};

// Information, CDW0 15:8, by type.
enum class ErrorInfo : uint8_t {
  kInvalidDoorbellRegister = 0,
  kInvalidDoorbellValue = 1,
  kDiagnosticFailure = 2,
  kPersistentInternalError = 3,  // a Linux host resets the controller
  kTransientInternalError = 4,
  kFirmwareImageLoadError = 5,
};
enum class SmartInfo : uint8_t { kReliability = 0, kTemperature = 1, kSpare = 2 };
enum class NoticeInfo : uint8_t {
  kNamespaceAttributeChanged = 0x00,
  kFirmwareActivationStarting = 0x01,
  kTelemetryLogChanged = 0x02,
  kAnaChange = 0x03,
  kPersistentEventLogChange = 0x04,
  kLbaStatusAlert = 0x05,
  kEnduranceGroupEvent = 0x06,
  kZoneDescriptorChanged = 0xef,
  kDiscoveryLogChange = 0xf0,
};

/// CDW0 of an Asynchronous Event Request's completion.
struct AsyncEvent {
  AsyncEventType type;
  uint8_t info;
  LogPage log_page;  // reading it without RAE clears the event

  static constexpr AsyncEvent notice(NoticeInfo info, LogPage log_page) {
    return {AsyncEventType::kNotice, uint8_t(info), log_page};
  }
  static constexpr AsyncEvent from_dw0(uint32_t dw0) {
    return {AsyncEventType(bits<2, 0>(dw0)), uint8_t(bits<15, 8>(dw0)), LogPage(bits<23, 16>(dw0))};
  }
  constexpr uint32_t to_dw0() const { return uint32_t(log_page) << 16 | uint32_t{info} << 8 | uint32_t(type); }
  friend constexpr bool operator==(const AsyncEvent&, const AsyncEvent&) = default;
};

inline constexpr AsyncEvent kNamespaceAttributeChanged =
    AsyncEvent::notice(NoticeInfo::kNamespaceAttributeChanged, LogPage::kChangedNamespaces);
inline constexpr AsyncEvent kAnaChanged = AsyncEvent::notice(NoticeInfo::kAnaChange, LogPage::kAna);
inline constexpr AsyncEvent kDiscoveryLogChanged =
    AsyncEvent::notice(NoticeInfo::kDiscoveryLogChange, LogPage::kDiscovery);
static_assert(kNamespaceAttributeChanged.to_dw0() == 0x00040002 && kAnaChanged.to_dw0() == 0x000c0302 &&
              kDiscoveryLogChanged.to_dw0() == 0x0070f002);

/// Feature 0Bh, CDW11: 7:0 critical warnings (kWarning…), and above them the events with the bits of OAES (kOaes…).
inline constexpr uint32_t kAsyncConfigWarnings = 0xff;

}  // namespace weft::nvme
