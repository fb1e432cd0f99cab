// What a host is told when an NVMe device of ours has failed a command.
#pragma once
#include "wire/nvme/status.h"

namespace weft::bdev {

/// What is about the medium and its blocks is passed on as it is; what is about our way to it becomes Internal Path Error, so that a multipath host
/// goes elsewhere; a command that the device does not like is our fault, and an Internal Error.
nvme::Status status_of_device(nvme::Status status);

/// Whether the device did nothing, or may have, for a reason that is over: the command may be given to it again.
bool is_worth_another_try(nvme::Status status);

}  // namespace weft::bdev
