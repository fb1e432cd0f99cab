#include "bdev/media_status.h"

#include <cerrno>

namespace weft::bdev {
namespace {

// The data could not be had, or could not be put: trying again on this path gives the same.
nvme::Status medium_error(Op op) {
  const auto status = op == Op::kRead ? nvme::status::kUnrecoveredReadError : nvme::status::kWriteFault;
  return status.with_dnr();
}

}  // namespace

nvme::Status status_of_errno(Op op, int error_number, MediumState state) {
  if (state == MediumState::kVanished) return nvme::status::kInternalPathError;
  switch (error_number) {
    case ENODEV:
    case ENXIO:
    case ENOLINK:    // the block layer's word for a transport that is gone
    case ETIMEDOUT:  // and for a device that its own driver has given up
      return nvme::status::kInternalPathError;
    case ENOSPC:
    case EDQUOT: return nvme::status::kCapacityExceeded;
    case EROFS:
    case EPERM: return op == Op::kRead ? medium_error(op) : nvme::status::kNamespaceWriteProtected.with_dnr();
    case ENOMEM:
    case EAGAIN:
    case EINTR: return nvme::status::kInternalError;  // may work when it is tried again
    default: return medium_error(op);
  }
}

}  // namespace weft::bdev
