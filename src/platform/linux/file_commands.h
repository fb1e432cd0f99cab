// What media operations on files and disks become on an io_uring (ring.h). No state.
#pragma once
#include <liburing.h>

#include <array>
#include <cstdint>

#include "media/media.h"

namespace weft::platform {

/// operation.handle is the file; every kind but kDiscard of a disk.
struct FileCommands {
  static constexpr unsigned kSetupFlags = 0;
  static constexpr std::array kOpcodes{int(IORING_OP_READ), int(IORING_OP_WRITE), int(IORING_OP_FSYNC), int(IORING_OP_FALLOCATE)};
  static constexpr const char* kTooOld = "this kernel's io_uring is older than Linux 5.6";

  bool has_room_for(const media::Operation&) const { return true; }
  void prepare(io_uring_sqe& sqe, media::Operation& operation);
  /// What the owner is told.
  int32_t finish(media::Operation&, int32_t result) { return result; }
};

}  // namespace weft::platform
