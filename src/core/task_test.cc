#include "core/task.h"

#include <gtest/gtest.h>

#include "core/test_support.h"

namespace weft {
namespace {

using testing_support::ManualClock;
using testing_support::NullSink;

Task<int> immediate(int value) { co_return value; }

Task<int> sum_of(int a, int b) {
  const int x = co_await immediate(a);
  const int y = co_await immediate(b);
  co_return x + y;
}

Task<int> after(Reactor* reactor, Duration duration, int value) {
  co_await Pause{*reactor, duration};
  co_return value;
}

TEST(Task, DoesNothingUntilItIsStartedAndGivesItsResultOnce) {
  bool is_done = false;
  Task<int> task = sum_of(2, 3);
  EXPECT_FALSE(task.is_done());
  task.start([&] { is_done = true; });
  EXPECT_TRUE(is_done);
  EXPECT_EQ(task.take(), 5);
}

TEST(Task, PauseGoesOnWhenTheTimeHasCome) {
  ManualClock clock;
  NullSink sink;
  Reactor reactor{{}, clock, sink};
  Task<int> task = after(&reactor, milliseconds(5), 7);
  task.start({});
  reactor.run_once();
  EXPECT_FALSE(task.is_done());
  clock.advance(milliseconds(7));
  reactor.run_once();
  ASSERT_TRUE(task.is_done());
  EXPECT_EQ(task.take(), 7);
}

TEST(Task, ASuspendedTaskCanBeDroppedWithItsPause) {
  ManualClock clock;
  NullSink sink;
  Reactor reactor{{}, clock, sink};
  {
    Task<int> task = after(&reactor, milliseconds(5), 7);
    task.start({});
  }
  clock.advance(seconds(1));
  EXPECT_EQ(reactor.run_once(), Reactor::Turn::kIdle);
}

TEST(Task, RunToEndStopsTheReactor) {
  ManualClock clock;
  NullSink sink;
  Reactor reactor{{.poll = PollMode::kAlways}, clock, sink};
  EXPECT_EQ(run_to_end(reactor, sum_of(1, 1)), 2);
}

}  // namespace
}  // namespace weft
