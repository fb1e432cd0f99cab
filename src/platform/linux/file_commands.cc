#include "platform/linux/file_commands.h"

#include <linux/fs.h>

#include "platform/linux/blocking_operation.h"

namespace weft::platform {

void FileCommands::prepare(io_uring_sqe& sqe, media::Operation& operation) {
  const int fd = operation.handle;
  switch (operation.kind) {
    case media::Kind::kRead: io_uring_prep_read(&sqe, fd, operation.data, operation.length, operation.offset); return;
    case media::Kind::kWrite: io_uring_prep_write(&sqe, fd, operation.data, operation.length, operation.offset); return;
    case media::Kind::kWriteStable:
      io_uring_prep_write(&sqe, fd, operation.data, operation.length, operation.offset);
      sqe.rw_flags = RWF_DSYNC;
      return;
    case media::Kind::kSync: io_uring_prep_fsync(&sqe, fd, IORING_FSYNC_DATASYNC); return;
    case media::Kind::kZero:
    case media::Kind::kZeroDeallocate:
    case media::Kind::kDiscard:
      io_uring_prep_fallocate(&sqe, fd, fallocate_mode(operation.kind), off_t(operation.offset), operation.length);
      return;
  }
}

}  // namespace weft::platform
