#include "platform/linux/log.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace weft::platform {
namespace {

class KeepingOutput final : public LogOutput {
 public:
  explicit KeepingOutput(std::vector<std::string>& lines) : lines_(lines) {}
  void print(std::chrono::system_clock::time_point, LogLevel, std::string_view who, std::string_view line) override {
    lines_.push_back(fmt::format("{}: {}", who, line));
  }

 private:
  std::vector<std::string>& lines_;
};

class LogTest : public ::testing::Test {
 protected:
  bool is_woken() const {
    pollfd descriptor{.fd = hub_->wake_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&descriptor, 1, 0) == 1;
  }
  std::vector<std::string> lines_;
  std::unique_ptr<LogHub> hub_ = std::move(LogHub::create(std::make_unique<KeepingOutput>(lines_)).value());
};

TEST_F(LogTest, LinesComeOutInOrderWithTheirWriter) {
  LogSink& sink = hub_->add("reactor 0");
  Log log{sink};
  log.info("one {}", 1);
  log.warn("two");
  EXPECT_EQ(hub_->drain(), 2u);
  EXPECT_EQ(lines_, (std::vector<std::string>{"reactor 0: one 1", "reactor 0: two"}));
  EXPECT_EQ(hub_->drain(), 0u);
}

TEST_F(LogTest, TheDrainIsWokenOncePerBatch) {
  LogSink& sink = hub_->add("a");
  EXPECT_FALSE(is_woken());
  sink.write(LogLevel::kInfo, "x");
  sink.write(LogLevel::kInfo, "y");
  EXPECT_TRUE(is_woken());
  hub_->drain();
  EXPECT_FALSE(is_woken());
  sink.write(LogLevel::kInfo, "z");
  EXPECT_TRUE(is_woken());
}

TEST_F(LogTest, AFullRingDropsCountsAndSaysSo) {
  LogSink& sink = hub_->add("a");
  for (size_t i = 0; i < LogRing::kLines + 3; ++i) sink.write(LogLevel::kInfo, std::to_string(i));
  EXPECT_EQ(hub_->drain(), LogRing::kLines + 1);
  EXPECT_EQ(lines_[LogRing::kLines - 1], "a: " + std::to_string(LogRing::kLines - 1));
  EXPECT_EQ(lines_.back().substr(0, 15), "a: 3 log lines ");
  sink.write(LogLevel::kInfo, "again");
  EXPECT_EQ(hub_->drain(), 1u);
}

TEST_F(LogTest, LongLinesAreCut) {
  LogSink& sink = hub_->add("a");
  sink.write(LogLevel::kInfo, std::string(1000, 'x'));
  hub_->drain();
  EXPECT_EQ(lines_[0].size(), Log::kLineMax + 3);
}

TEST_F(LogTest, AWriterOnAnotherThreadLosesNothingThatIsNotCounted) {
  constexpr size_t kLines = 20'000;
  LogSink& sink = hub_->add("a");
  std::atomic<bool> is_done{false};
  std::thread writer{[&] {
    for (size_t i = 0; i < kLines; ++i) sink.write(LogLevel::kInfo, std::to_string(i));
    is_done = true;
  }};
  while (!is_done) hub_->drain();
  writer.join();
  hub_->drain();
  size_t accounted = 0;
  for (const std::string& line : lines_) {
    const size_t dropped_at = line.find(" log lines were dropped");
    accounted += dropped_at == std::string::npos ? 1 : std::stoul(line.substr(3, dropped_at - 3));
  }
  EXPECT_EQ(accounted, kLines);
}

}  // namespace
}  // namespace weft::platform
