#include "platform/linux/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"

namespace weft::platform {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  WEFT_ASSERT(false);
  return spdlog::level::off;
}

class StderrOutput final : public LogOutput {
 public:
  StderrOutput() : logger_("weft", std::make_shared<spdlog::sinks::stderr_color_sink_st>()) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %^%l%$ %v");
    logger_.set_level(spdlog::level::debug);
  }
  void print(std::chrono::system_clock::time_point when, LogLevel level, std::string_view who, std::string_view line) override {
    logger_.log(when, spdlog::source_loc{}, level_of(level), fmt::format("{}: {}", who, line));
  }

 private:
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<LogOutput> make_stderr_output() { return std::make_unique<StderrOutput>(); }

void LogRing::write(LogLevel level, std::string_view line) {
  const uint64_t written = written_.load(std::memory_order_relaxed);
  if (written - drained_.load(std::memory_order_acquire) == kLines) {
    dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  } else {
    Line& slot = lines_[written % kLines];
    slot.when = std::chrono::system_clock::now();
    slot.level = level;
    slot.size = uint16_t(std::min(line.size(), slot.text.size()));
    std::copy_n(line.begin(), slot.size, slot.text.begin());
    written_.store(written + 1, std::memory_order_release);
  }
  // After the line is there: who clears the flag looks at the ring afterwards.
  if (is_told_.exchange(true)) return;
  const uint64_t one = 1;
  const ssize_t told = ::write(wake_fd_, &one, sizeof one);
  WEFT_SUSPECT(told == sizeof one);
}

size_t LogRing::drain(LogOutput& output) {
  is_told_.exchange(false);
  size_t printed = 0;
  const uint64_t written = written_.load(std::memory_order_acquire);
  for (uint64_t next = drained_.load(std::memory_order_relaxed); next < written; ++next, ++printed) {
    const Line& line = lines_[next % kLines];
    output.print(line.when, line.level, who_, {line.text.data(), line.size});
    drained_.store(next + 1, std::memory_order_release);
  }
  const uint64_t dropped = dropped_.load(std::memory_order_relaxed);
  if (dropped != dropped_printed_) {
    const std::string note = fmt::format("{} log lines were dropped: they came faster than they were printed", dropped - dropped_printed_);
    output.print(std::chrono::system_clock::now(), LogLevel::kWarn, who_, note);
    dropped_printed_ = dropped;
    ++printed;
  }
  return printed;
}

Result<std::unique_ptr<LogHub>> LogHub::create(std::unique_ptr<LogOutput> output) {
  UniqueFd event{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.is_open()) return std::unexpected(Error::from_errno(errno, "eventfd for the log"));
  return std::unique_ptr<LogHub>(new LogHub(std::move(output), std::move(event)));
}

LogSink& LogHub::add(std::string who) {
  rings_.push_back(std::make_unique<LogRing>(std::move(who), wake_event_.get()));
  return *rings_.back();
}

size_t LogHub::drain() {
  uint64_t wakes;
  (void)!::read(wake_event_.get(), &wakes, sizeof wakes);  // EAGAIN: nobody woke us, which is as good
  size_t printed = 0;
  for (const auto& ring : rings_) printed += ring->drain(*output_);
  return printed;
}

}  // namespace weft::platform
