// From what the configuration says to a block device: opens the medium, makes the device on it and puts the filters before it.
#pragma once
#include <variant>
#include <vector>

#include "bdev/delay/delay_bdev.h"
#include "bdev/error/error_bdev.h"
#include "platform/linux/media_engine.h"

namespace weft::platform {

enum class DeviceKind : uint8_t { kRam, kNull, kFile, kDisk };

using Filter = std::variant<bdev::DelayRule, bdev::ErrorRule>;

struct DeviceRequest {
  DeviceKind kind = DeviceKind::kNull;
  std::string name;         // as configured, for messages
  std::string path;         // file and disk
  uint64_t size_bytes = 0;  // ram and null: always; file: see FileRequest; disk: ignored
  uint32_t block_size = 0;  // 512 or 4096; 0: the medium's own, else 512
  bool force = false;       // disk
  std::vector<Filter> filters;  // the outermost first
};

/// Opens it, in the control plane. Says in `log` how a file or disk was opened. `engine` and `memory` outlive the device. Errors: those of open_file() and
/// open_disk(), kInvalid for sizes, kLimit.
Result<std::unique_ptr<bdev::Bdev>> open_device(const DeviceRequest& request, MediaEngine& engine, MemorySource& memory, Log& log);

}  // namespace weft::platform
