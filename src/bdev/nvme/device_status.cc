#include "bdev/nvme/device_status.h"

#include <algorithm>
#include <array>

namespace weft::bdev {
namespace {

namespace status = nvme::status;

constexpr std::array kAboutBlocks{status::kLbaOutOfRange, status::kCapacityExceeded, status::kNamespaceWriteProtected, status::kReservationConflict};
constexpr std::array kAboutTheWay{status::kInvalidNamespace, status::kNamespaceNotReady, status::kAbortRequested,
                                  status::kAbortedSqDeleted, status::kAbortedPowerLoss,  status::kCommandInterrupted};

bool is_one_of(nvme::Status status, const auto& list) {
  return std::ranges::any_of(list, [&](nvme::Status each) { return each.is(status); });
}

}  // namespace

nvme::Status status_of_device(nvme::Status status) {
  if (status.ok()) return status::kSuccess;
  if (status.sct() == nvme::StatusCodeType::kMedia || is_one_of(status, kAboutBlocks)) {
    // More stands for an entry of the device's own error log, which is not the one that the host sees.
    const nvme::Status same{status.sct(), status.sc()};
    return status.dnr() ? same.with_dnr() : same;
  }
  if (status.is(status::kReadOnlyRange)) return status::kNamespaceWriteProtected.with_dnr();
  if (status.sct() == nvme::StatusCodeType::kPath || is_one_of(status, kAboutTheWay)) return status::kInternalPathError;
  return status.dnr() ? status::kInternalError.with_dnr() : status::kInternalError;
}

bool is_worth_another_try(nvme::Status status) {
  return status.is(status::kAbortRequested) || status.is(status::kAbortedSqDeleted) || status.is(status::kCommandInterrupted);
}

}  // namespace weft::bdev
