#include "wire/nvme/status.h"

#include "wire/nvme/queue_commands.h"

#include <array>

namespace weft::nvme {
namespace {

struct Named {
  Status status;
  std::string_view name;
};

// Names as NVM Express Base 2.0 figures 94-98 and the Fabrics chapter give them.
constexpr std::array kNames{
    Named{status::kSuccess, "Successful Completion"},
    Named{status::kInvalidOpcode, "Invalid Command Opcode"},
    Named{status::kInvalidField, "Invalid Field in Command"},
    Named{status::kCommandIdConflict, "Command ID Conflict"},
    Named{status::kDataTransferError, "Data Transfer Error"},
    Named{status::kAbortedPowerLoss, "Commands Aborted due to Power Loss Notification"},
    Named{status::kInternalError, "Internal Error"},
    Named{status::kAbortRequested, "Command Abort Requested"},
    Named{status::kAbortedSqDeleted, "Command Aborted due to SQ Deletion"},
    Named{status::kAbortedFailedFused, "Command Aborted due to Failed Fused Command"},
    Named{status::kAbortedMissingFused, "Command Aborted due to Missing Fused Command"},
    Named{status::kInvalidNamespace, "Invalid Namespace or Format"},
    Named{status::kCommandSequenceError, "Command Sequence Error"},
    Named{status::kInvalidSglSegment, "Invalid SGL Segment Descriptor"},
    Named{status::kInvalidSglCount, "Invalid Number of SGL Descriptors"},
    Named{status::kSglLengthInvalid, "Data SGL Length Invalid"},
    Named{status::kSglTypeInvalid, "SGL Descriptor Type Invalid"},
    Named{status::kAtomicWriteUnitExceeded, "Atomic Write Unit Exceeded"},
    Named{status::kOperationDenied, "Operation Denied"},
    Named{status::kSglOffsetInvalid, "SGL Offset Invalid"},
    Named{status::kHostIdInconsistent, "Host Identifier Inconsistent Format"},
    Named{status::kKeepAliveExpired, "Keep Alive Timer Expired"},
    Named{status::kKeepAliveInvalid, "Keep Alive Timeout Invalid"},
    Named{status::kNamespaceWriteProtected, "Namespace is Write Protected"},
    Named{status::kCommandInterrupted, "Command Interrupted"},
    Named{status::kTransientTransportError, "Transient Transport Error"},
    Named{status::kLbaOutOfRange, "LBA Out of Range"},
    Named{status::kCapacityExceeded, "Capacity Exceeded"},
    Named{status::kNamespaceNotReady, "Namespace Not Ready"},
    Named{status::kReservationConflict, "Reservation Conflict"},
    Named{status::kInvalidCompletionQueue, "Completion Queue Invalid"},
    Named{status::kInvalidQueueId, "Invalid Queue Identifier"},
    Named{status::kInvalidQueueSize, "Invalid Queue Size"},
    Named{status::kAbortLimitExceeded, "Abort Command Limit Exceeded"},
    Named{status::kAsyncEventLimitExceeded, "Asynchronous Event Request Limit Exceeded"},
    Named{status::kInvalidLogPage, "Invalid Log Page"},
    Named{status::kInvalidQueueDeletion, "Invalid Queue Deletion"},
    Named{status::kFeatureNotSaveable, "Feature Identifier Not Saveable"},
    Named{status::kFeatureNotChangeable, "Feature Not Changeable"},
    Named{status::kFeatureNotNamespaceSpecific, "Feature Not Namespace Specific"},
    Named{status::kOverlappingRange, "Overlapping Range"},
    Named{status::kConnectIncompatibleFormat, "Connect Incompatible Format, or Conflicting Attributes"},
    Named{status::kConnectControllerBusy, "Connect Controller Busy"},
    Named{status::kConnectInvalidParameters, "Connect Invalid Parameters, or Attempted Write to Read Only Range"},
    Named{status::kConnectRestartDiscovery, "Connect Restart Discovery, or Command Size Limit Exceeded"},
    Named{status::kConnectInvalidHost, "Connect Invalid Host"},
    Named{status::kInvalidQueueType, "Invalid Queue Type"},
    Named{status::kAuthenticationRequired, "Authentication Required"},
    Named{status::kWriteFault, "Write Fault"},
    Named{status::kUnrecoveredReadError, "Unrecovered Read Error"},
    Named{status::kCompareFailure, "Compare Failure"},
    Named{status::kInternalPathError, "Internal Path Error"},
    Named{status::kControllerPathError, "Controller Pathing Error"},
    Named{status::kHostPathError, "Host Pathing Error"},
    Named{status::kAbortedByHost, "Command Aborted By Host"},
};

}  // namespace

std::string_view name_of(Status status) {
  for (const Named& named : kNames) {
    if (named.status.is(status)) return named.name;
  }
  return "Unknown";
}

}  // namespace weft::nvme
