#include "platform/linux/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <thread>

namespace weft::platform {
namespace {

struct Handler final : FdHandler {
  void on_events(uint32_t) override {
    ++calls;
    if (victim != nullptr) loop->unwatch(victim_fd, *victim);
    victim = nullptr;
  }
  int calls = 0;
  EventLoop* loop = nullptr;
  Handler* victim = nullptr;
  int victim_fd = -1;
};

TEST(EventLoop, WaitReturnsNotBeforeTheDeadline) {
  auto loop = std::move(*EventLoop::create());
  const Instant deadline = loop->now() + milliseconds(3);
  loop->wait(deadline);
  EXPECT_GE(loop->now(), deadline);
}

TEST(EventLoop, AWakeFromAnotherThreadEndsAWaitWithoutDeadline) {
  auto loop = std::move(*EventLoop::create());
  std::thread other([&] { loop->wake(); });
  loop->wait(Instant::never());
  other.join();
}

TEST(EventLoop, AWakeThatPollSawStillEndsTheNextWait) {
  auto loop = std::move(*EventLoop::create());
  loop->wake();
  EXPECT_EQ(loop->poll(), 0u);
  loop->wait(Instant::never());
}

TEST(EventLoop, EventsThatEndedAWaitAreHandledByTheNextPoll) {
  auto loop = std::move(*EventLoop::create());
  UniqueFd event{eventfd(1, EFD_CLOEXEC)};
  Handler handler;
  ASSERT_TRUE(loop->watch(event.get(), EPOLLIN | EPOLLET, handler).has_value());
  loop->wait(Instant::never());
  EXPECT_EQ(handler.calls, 0);
  EXPECT_EQ(loop->poll(), 1u);
  EXPECT_EQ(handler.calls, 1);
  EXPECT_EQ(loop->poll(), 0u);
  loop->unwatch(event.get(), handler);
}

TEST(EventLoop, AnUnwatchedHandlerIsNotCalledForEventsAlreadyTakenIn) {
  auto loop = std::move(*EventLoop::create());
  UniqueFd fds[2] = {UniqueFd{eventfd(1, EFD_CLOEXEC)}, UniqueFd{eventfd(1, EFD_CLOEXEC)}};
  Handler handlers[2];
  for (int i = 0; i < 2; ++i) {
    handlers[i].loop = loop.get();
    handlers[i].victim = &handlers[1 - i];
    handlers[i].victim_fd = fds[1 - i].get();
    ASSERT_TRUE(loop->watch(fds[i].get(), EPOLLIN, handlers[i]).has_value());
  }
  EXPECT_EQ(loop->poll(), 1u);
  EXPECT_EQ(handlers[0].calls + handlers[1].calls, 1);
}

}  // namespace
}  // namespace weft::platform
