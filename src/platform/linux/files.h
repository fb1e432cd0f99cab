// Opens a regular file as a medium, so that nobody's data is lost: an existing file is never resized, and nobody else has it while we do.
#pragma once
#include "platform/linux/open_medium.h"

namespace weft::platform {

struct FileRequest {
  std::string path;
  uint64_t size_bytes = 0;  // creates a missing file of this size, sparse; 0: it must exist
  uint32_t block_size = 0;  // 0: 512
};

/// Errors, with the path and the reason: kNotFound, kDenied, kBusy (locked by another process, or under a loop device), kInvalid (not a regular
/// file, another size than asked for, not whole blocks), kIo.
Result<OpenedMedium> open_file(const FileRequest& request);

}  // namespace weft::platform
