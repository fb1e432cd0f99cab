#include "platform/linux/blocking_operation.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/assert.h"

namespace weft::platform {
namespace {

int32_t result_of(ssize_t returned) { return returned < 0 ? -errno : int32_t(returned); }

int32_t discard_disk(int fd, const media::Operation& operation) {
  const std::array<uint64_t, 2> range{operation.offset, operation.length};
  return result_of(ioctl(fd, BLKDISCARD, range.data()));
}

}  // namespace

int fallocate_mode(media::Kind kind) {
  if (kind == media::Kind::kZero) return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  WEFT_ASSERT(kind == media::Kind::kZeroDeallocate || kind == media::Kind::kDiscard);
  return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
}

int32_t run_blocking(int fd, FileKind file_kind, const media::Operation& operation) {
  const auto offset = off_t(operation.offset);
  const iovec piece{operation.data, operation.length};
  switch (operation.kind) {
    case media::Kind::kRead: return result_of(preadv2(fd, &piece, 1, offset, 0));
    case media::Kind::kWrite: return result_of(pwritev2(fd, &piece, 1, offset, 0));
    case media::Kind::kWriteStable: return result_of(pwritev2(fd, &piece, 1, offset, RWF_DSYNC));
    case media::Kind::kSync: return result_of(fdatasync(fd));
    case media::Kind::kDiscard:
      if (file_kind == FileKind::kBlockDevice) return discard_disk(fd, operation);
      [[fallthrough]];
    case media::Kind::kZero:
    case media::Kind::kZeroDeallocate: return result_of(fallocate(fd, fallocate_mode(operation.kind), offset, operation.length));
  }
  return -EINVAL;
}

Result<uint64_t> size_bytes_of(int fd, FileKind kind) {
  if (kind == FileKind::kBlockDevice) {
    uint64_t bytes = 0;
    if (ioctl(fd, BLKGETSIZE64, &bytes) != 0) return std::unexpected(Error::from_errno(errno, "size of a disk"));
    return bytes;
  }
  struct stat status;
  if (fstat(fd, &status) != 0) return std::unexpected(Error::from_errno(errno, "size of a file"));
  return uint64_t(status.st_size);
}

bool disk_has_vanished(int fd) {
  uint64_t bytes = 0;
  return ioctl(fd, BLKGETSIZE64, &bytes) != 0 || bytes == 0;
}

}  // namespace weft::platform
