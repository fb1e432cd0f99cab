// An opened file or disk, ready for I/O, and what is known of it: what files.cc and disks.cc give, and what the mediums and devices are made of.
#pragma once
#include <string>

#include "media/media.h"
#include "platform/linux/blocking_operation.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

enum class Caching : uint8_t { kDirect, kBuffered };  // past the page cache (O_DIRECT), or through it

struct OpenMedium {
  UniqueFd fd;  // the claim or lock on the medium lives as long as it
  FileKind kind = FileKind::kRegular;
  Caching caching = Caching::kBuffered;
  media::Alignment alignment{};
};

struct MediumFacts {
  uint64_t size_bytes = 0;
  uint32_t block_size = 512;         // of the namespace: as asked for, else the medium's own
  uint32_t preferred_bytes = 4096;   // aligned writes of this size are cheapest
  bool has_volatile_cache = true;
  bool can_deallocate = false;
  bool deallocated_reads_zero = false;
  bool is_read_only = false;
  std::string medium_id;             // lasting; empty when the medium has none
};

struct OpenedMedium {
  OpenMedium medium;
  MediumFacts facts;
};

/// Turns O_DIRECT on when the file and `block_size` allow it; else leaves the page cache in use. Tries a read of the first block.
void choose_caching(OpenMedium& medium, uint32_t block_size);

}  // namespace weft::platform
