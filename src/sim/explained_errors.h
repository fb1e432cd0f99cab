// Which error statuses a volume may answer with: those that an injected fault explains. A fault is expected from when it
// may show until it is over; a command that was outstanding at any time between may still carry its error.
#pragma once
#include "sim/volume_access.h"
#include "wire/nvme/status.h"

#include <array>

namespace weft::sim {

enum class ErrorKind : uint8_t {
  kMediaError,      // the device fails operations
  kTimeout,         // the device is late, hangs or has vanished; while a write is late, others are refused
  kFlushFailed,     // the namespace answers nothing until it is cleared
  kGone,            // the namespace is removed, or not there yet
  kWriteProtected,  // the device has become read-only
};
inline constexpr size_t kErrorKinds = 5;

/// What a failed command may have done to its blocks.
enum class Effect : uint8_t { kNone, kBeforeItsEnd, kAnyTime };

struct Explanation {
  bool is_explained = false;
  Effect effect = Effect::kBeforeItsEnd;
};

class ExplainedErrors {
 public:
  void expect(ErrorKind kind) { ++windows_[size_t(kind)].open; }
  /// Requires: as many expect() before.
  void expect_no_more(ErrorKind kind, Tick now);

  /// Whether an error of `access` that is not about sizes, comparing or fusing is explained, and what it may have done.
  Explanation explain(const Access& access, nvme::Status status) const;

 private:
  struct Window {
    unsigned open = 0;
    Tick closed = 0;  // the last time
  };
  bool is_expected(ErrorKind kind, Tick began) const;

  std::array<Window, kErrorKinds> windows_{};
};

}  // namespace weft::sim
