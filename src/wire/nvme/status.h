// The NVMe completion status: SCT, SC, and the bits that go with it. NVM Express Base 2.0 §4.2.3 (figures 92-98), Fabrics status in §3.3.
// A Status is what a command of the host's gets; failures of our own operations are weft::Error.
#pragma once
#include <cstdint>
#include <string_view>

namespace weft::nvme {

enum class StatusCodeType : uint8_t { kGeneric = 0, kCommandSpecific = 1, kMedia = 2, kPath = 3, kVendor = 7 };

/// A status without the phase bit. Bits 7:0 SC, 10:8 SCT, 12:11 CRD, 13 M, 14 DNR: the CQE's status word shifted right by one.
class Status {
 public:
  constexpr Status() = default;
  constexpr Status(StatusCodeType sct, uint8_t sc) : bits_(uint16_t(uint16_t(sct) << 8 | sc)) {}
  /// From the CQE's 16-bit field; the phase bit is dropped.
  static constexpr Status from_cqe(uint16_t field) {
    Status status;
    status.bits_ = field >> 1;
    return status;
  }
  constexpr uint16_t to_cqe() const { return uint16_t(bits_ << 1); }

  constexpr bool ok() const { return (bits_ & 0x7ff) == 0; }
  constexpr StatusCodeType sct() const { return StatusCodeType((bits_ >> 8) & 7); }
  constexpr uint8_t sc() const { return uint8_t(bits_); }
  constexpr bool more() const { return (bits_ & 0x2000) != 0; }
  constexpr bool dnr() const { return (bits_ & 0x4000) != 0; }
  /// The same status, not to be retried on this path.
  constexpr Status with_dnr() const { return with(0x4000); }
  /// The same status; the error log says more.
  constexpr Status with_more() const { return with(0x2000); }
  /// True when type and code are equal, whatever the other bits say.
  constexpr bool is(Status other) const { return (bits_ & 0x7ff) == (other.bits_ & 0x7ff); }
  friend constexpr bool operator==(Status, Status) = default;

 private:
  constexpr Status with(uint16_t bits) const {
    Status status = *this;
    status.bits_ |= bits;
    return status;
  }
  uint16_t bits_ = 0;
};
static_assert(sizeof(Status) == 2);

/// The spec's name of the status ("Invalid Field in Command"), or "Unknown".
std::string_view name_of(Status status);

namespace status {
inline constexpr auto kG = StatusCodeType::kGeneric;
inline constexpr auto kC = StatusCodeType::kCommandSpecific;
inline constexpr auto kM = StatusCodeType::kMedia;
inline constexpr auto kP = StatusCodeType::kPath;

inline constexpr Status kSuccess{};
inline constexpr Status kInvalidOpcode{kG, 0x01};
inline constexpr Status kInvalidField{kG, 0x02};
inline constexpr Status kCommandIdConflict{kG, 0x03};
inline constexpr Status kDataTransferError{kG, 0x04};
inline constexpr Status kAbortedPowerLoss{kG, 0x05};
inline constexpr Status kInternalError{kG, 0x06};
inline constexpr Status kAbortRequested{kG, 0x07};
inline constexpr Status kAbortedSqDeleted{kG, 0x08};
inline constexpr Status kAbortedFailedFused{kG, 0x09};
inline constexpr Status kAbortedMissingFused{kG, 0x0a};
inline constexpr Status kInvalidNamespace{kG, 0x0b};
inline constexpr Status kCommandSequenceError{kG, 0x0c};
inline constexpr Status kInvalidSglSegment{kG, 0x0d};
inline constexpr Status kInvalidSglCount{kG, 0x0e};
inline constexpr Status kSglLengthInvalid{kG, 0x0f};
inline constexpr Status kSglTypeInvalid{kG, 0x11};
inline constexpr Status kAtomicWriteUnitExceeded{kG, 0x14};
inline constexpr Status kOperationDenied{kG, 0x15};
inline constexpr Status kSglOffsetInvalid{kG, 0x16};
inline constexpr Status kHostIdInconsistent{kG, 0x18};
inline constexpr Status kKeepAliveExpired{kG, 0x19};
inline constexpr Status kKeepAliveInvalid{kG, 0x1a};
inline constexpr Status kNamespaceWriteProtected{kG, 0x20};
inline constexpr Status kCommandInterrupted{kG, 0x21};
inline constexpr Status kTransientTransportError{kG, 0x22};
inline constexpr Status kLbaOutOfRange{kG, 0x80};
inline constexpr Status kCapacityExceeded{kG, 0x81};
inline constexpr Status kNamespaceNotReady{kG, 0x82};
inline constexpr Status kReservationConflict{kG, 0x83};

inline constexpr Status kInvalidQueueId{kC, 0x01};
inline constexpr Status kAbortLimitExceeded{kC, 0x03};
inline constexpr Status kAsyncEventLimitExceeded{kC, 0x05};
inline constexpr Status kInvalidLogPage{kC, 0x09};
inline constexpr Status kFeatureNotSaveable{kC, 0x0d};
inline constexpr Status kFeatureNotChangeable{kC, 0x0e};
inline constexpr Status kFeatureNotNamespaceSpecific{kC, 0x0f};
inline constexpr Status kOverlappingRange{kC, 0x14};
inline constexpr Status kConflictingAttributes{kC, 0x80};
inline constexpr Status kReadOnlyRange{kC, 0x82};
inline constexpr Status kCommandSizeLimitExceeded{kC, 0x83};
// Fabrics (the same numbers, on fabrics commands).
inline constexpr Status kConnectIncompatibleFormat{kC, 0x80};
inline constexpr Status kConnectControllerBusy{kC, 0x81};
inline constexpr Status kConnectInvalidParameters{kC, 0x82};
inline constexpr Status kConnectRestartDiscovery{kC, 0x83};
inline constexpr Status kConnectInvalidHost{kC, 0x84};
inline constexpr Status kInvalidQueueType{kC, 0x85};
inline constexpr Status kAuthenticationRequired{kC, 0x91};

inline constexpr Status kWriteFault{kM, 0x80};
inline constexpr Status kUnrecoveredReadError{kM, 0x81};
inline constexpr Status kCompareFailure{kM, 0x85};

inline constexpr Status kInternalPathError{kP, 0x00};
inline constexpr Status kControllerPathError{kP, 0x60};
inline constexpr Status kHostPathError{kP, 0x70};
inline constexpr Status kAbortedByHost{kP, 0x71};
}  // namespace status

}  // namespace weft::nvme
