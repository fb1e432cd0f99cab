// Logging for the layers below platform/: they format into a fixed buffer and hand the line to a sink; who prints it, and when, is decided
// in platform/ (a bounded ring per reactor, printed by the control thread) or by a test.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace weft {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

class LogSink {
 public:
  virtual ~LogSink() = default;
  /// Takes one line without a newline. Does not block and does not allocate; may drop and count.
  virtual void write(LogLevel level, std::string_view line) = 0;
};

class Log {
 public:
  static constexpr size_t kLineMax = 240;  // bytes; longer lines are cut
  explicit Log(LogSink& sink) : sink_(&sink) {}

  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) { write(LogLevel::kInfo, format, std::forward<Args>(args)...); }
  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) { write(LogLevel::kWarn, format, std::forward<Args>(args)...); }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) { write(LogLevel::kError, format, std::forward<Args>(args)...); }

 private:
  template <typename... Args>
  void write(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    char line[kLineMax];
    const auto result = fmt::format_to_n(line, sizeof line, format, std::forward<Args>(args)...);
    sink_->write(level, {line, result.size < sizeof line ? result.size : sizeof line});
  }
  LogSink* sink_;
};

/// Lets one event per second through; the others are counted, so that the next line can say how many were left out.
class RateLimit {
 public:
  /// True when a line may be written now; then suppressed() is how many were held back since the last one.
  bool allow(Instant now) {
    if (now < next_) {
      ++held_;
      return false;
    }
    next_ = now + seconds(1);
    suppressed_ = held_;
    held_ = 0;
    return true;
  }
  uint64_t suppressed() const { return suppressed_; }

 private:
  Instant next_{};
  uint64_t held_ = 0;
  uint64_t suppressed_ = 0;
};

}  // namespace weft
