// What this process is to the system: its threads' cores, its limits, the signals that end it. Control thread, at start and end.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

/// The cores that this process may run on, ascending.
std::vector<uint32_t> allowed_cores();

/// Names the calling thread (15 characters at most) and binds it to one core. Errors: kInvalid for a core that is not allowed.
Result<void> settle_thread(const std::string& name, uint32_t core);

/// Raises the limit of open descriptors as far as it goes, at most to `wanted`. Returns what it is now.
uint64_t raise_descriptor_limit(uint64_t wanted);

/// SIGINT and SIGTERM as something to wait for. Made before any other thread, so that all inherit the mask.
class StopSignals {
 public:
  /// Errors: the system's.
  static Result<StopSignals> create();
  enum class Woken : uint8_t { kSignal, kOther, kTimeout };
  /// Waits for a signal, for `other_fd` to be readable (-1: none), or for the time to pass.
  Woken wait(Duration timeout, int other_fd);

 private:
  explicit StopSignals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace weft::platform
