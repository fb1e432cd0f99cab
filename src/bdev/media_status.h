// What a host is told when a medium has failed.
#pragma once
#include "bdev/io.h"
#include "wire/nvme/status.h"

namespace weft::bdev {

enum class MediumState : uint8_t { kThere, kVanished };

/// The status for `op` after the medium gave `error_number` (positive). A medium that was taken away gives Internal Path Error without DNR, so
/// that a multipath host goes elsewhere.
nvme::Status status_of_errno(Op op, int error_number, MediumState state);

}  // namespace weft::bdev
