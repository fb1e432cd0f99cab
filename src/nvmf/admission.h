// What an I/O command must look like before anything is done for it: its range, its data, its limits. Pure: no queue, no state.
// NVM Command Set 1.0 §3; the order of checks follows reference targets: range, transfer size, SGL length.
#pragma once
#include "bdev/bdev.h"
#include "core/limits.h"
#include "nvmf/freezer.h"
#include "wire/nvme/command.h"

namespace weft::nvmf {

struct Admission {
  nvme::Status status;
  nvme::DataDirection direction = nvme::DataDirection::kNone;
  uint32_t length_min = 0;  // bytes of data that the SGL must give
  uint32_t length_max = 0;
};

/// Whether the blocks of a command that names some are all there.
inline bool is_in_range(const nvme::Sqe& sqe, const bdev::Info& info) {
  return sqe.slba() < info.block_count && sqe.block_count() <= info.block_count - sqe.slba();
}

/// For a command on a namespace with that Info. Requires: not Flush of all namespaces.
Admission admit_io(const nvme::Sqe& sqe, const bdev::Info& info, const Limits& limits);

/// For an admin command: direction and length of its data.
Admission admit_admin(const nvme::Sqe& sqe, const Limits& limits);

/// For a fabrics command.
Admission admit_fabrics(const nvme::Sqe& sqe);

/// Whether the command changes the medium.
bool is_write(const nvme::Sqe& sqe);

/// The blocks that the command touches, for exclusion: all of the namespace for those with range lists, none for Flush.
BlockRange range_of(const nvme::Sqe& sqe, const bdev::Info& info);

}  // namespace weft::nvmf
