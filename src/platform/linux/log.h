// From a reactor's log lines to stderr without the reactor waiting for it: each reactor writes into a bounded ring of its own, and the control thread
// drains them all. A full ring drops lines, counts them, and the count is printed.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

/// Where lines end up: spdlog on stderr, with time, level and the name of who wrote. The control thread's.
class LogOutput {
 public:
  virtual ~LogOutput() = default;
  virtual void print(std::chrono::system_clock::time_point when, LogLevel level, std::string_view who, std::string_view line) = 0;
};

std::unique_ptr<LogOutput> make_stderr_output();

/// One producer (the thread that writes), one consumer (the thread that drains).
class LogRing final : public LogSink {
 public:
  static constexpr size_t kLines = 512;  // a power of two

  /// `wake_fd` is an eventfd, written when there is something to drain and nobody was told yet.
  LogRing(std::string who, int wake_fd) : who_(std::move(who)), wake_fd_(wake_fd) {}
  void write(LogLevel level, std::string_view line) override;
  /// Prints what is there, in order, then how many lines were dropped since the last time. Returns how many lines it printed.
  size_t drain(LogOutput& output);

 private:
  struct Line {
    std::chrono::system_clock::time_point when;
    LogLevel level;
    uint16_t size;
    std::array<char, Log::kLineMax> text;
  };
  std::string who_;
  int wake_fd_;
  alignas(64) std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> dropped_{0};
  alignas(64) std::atomic<uint64_t> drained_{0};
  std::atomic<bool> is_told_{false};
  uint64_t dropped_printed_ = 0;  // the consumer's
  std::array<Line, kLines> lines_;
};

/// All rings of the process. Belongs to the control thread; the rings' writers stop before it dies.
class LogHub {
 public:
  /// Errors: the system's.
  static Result<std::unique_ptr<LogHub>> create(std::unique_ptr<LogOutput> output);
  /// A new ring for one thread; lives as long as the hub.
  LogSink& add(std::string who);
  /// Readable when there is something to drain.
  int wake_fd() const { return wake_event_.get(); }
  /// Prints what all rings hold. Returns how many lines.
  size_t drain();

 private:
  LogHub(std::unique_ptr<LogOutput> output, UniqueFd wake_event)
      : output_(std::move(output)), wake_event_(std::move(wake_event)) {}
  std::unique_ptr<LogOutput> output_;
  UniqueFd wake_event_;
  std::vector<std::unique_ptr<LogRing>> rings_;
};

}  // namespace weft::platform
