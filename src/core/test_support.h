// What unit tests of every room use in place of the real clock, memory and log. Not part of any library.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "core/clock.h"
#include "core/memory.h"

namespace weft::testing_support {

/// Time stands still until the test moves it.
class ManualClock final : public Clock {
 public:
  Instant now() override { return now_; }
  uint64_t wall_clock_ms() override { return 1'700'000'000'000 + uint64_t(now_.ns / 1'000'000); }
  void wait(Instant) override {}
  void wake() override {}
  void advance(Duration by) { now_ = now_ + by; }

 private:
  Instant now_{1'000'000'000};
};

/// A clock that really sleeps, for tests with threads.
class BlockingClock final : public Clock {
 public:
  Instant now() override { return {std::chrono::steady_clock::now().time_since_epoch().count()}; }
  uint64_t wall_clock_ms() override { return 0; }
  void wait(Instant) override {
    std::unique_lock lock{mutex_};
    condition_.wait(lock, [this] { return is_woken_; });
    is_woken_ = false;
  }
  void wake() override {
    const std::lock_guard lock{mutex_};
    is_woken_ = true;
    condition_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool is_woken_ = false;
};

class NullSink final : public LogSink {
 public:
  void write(LogLevel, std::string_view) override {}
};

/// Keeps the lines, so that a test can look for one.
class KeepingSink final : public LogSink {
 public:
  void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

class HeapMemory final : public MemorySource {
 public:
  Result<Region> map(size_t size, std::string_view) override {
    const size_t rounded = (size + 4095) & ~size_t{4095};
    auto* bytes = static_cast<std::byte*>(std::aligned_alloc(4096, rounded));
    std::memset(bytes, 0, rounded);
    return Region{*this, {bytes, rounded}};
  }

 private:
  void unmap(std::span<std::byte> bytes) override { std::free(bytes.data()); }
};

}  // namespace weft::testing_support
