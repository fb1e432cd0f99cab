// Media operations as plain system calls that block. For threads that may wait.
#pragma once
#include "media/media.h"

namespace weft::platform {

enum class FileKind : uint8_t { kRegular, kBlockDevice };

/// Executes `operation` on `fd`. Returns bytes transferred, 0, or a negative errno, as media::OperationOwner wants it.
int32_t run_blocking(int fd, FileKind kind, const media::Operation& operation);

/// The mode of fallocate() that does `kind`. Requires: kZero, kZeroDeallocate, or kDiscard of a regular file.
int fallocate_mode(media::Kind kind);

/// How large the file or disk is now. Does not block. Errors: the system's.
Result<uint64_t> size_bytes_of(int fd, FileKind kind);

/// True when the disk behind `fd` was taken away: it has no bytes any more. Does not block.
bool disk_has_vanished(int fd);

}  // namespace weft::platform
