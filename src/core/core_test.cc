#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "core/buffer_pool.h"
#include "core/reactor.h"
#include "core/test_support.h"

namespace weft {
namespace {

struct Alarm {
  std::vector<int>* fired;
  int id;
  void ring() { fired->push_back(id); }
  Timer timer = Timer::calling<&Alarm::ring>(this);
};

TEST(TimerWheel, FiresInTimeAndNeverEarly) {
  TimerWheel wheel{Instant{0}};
  std::vector<int> fired;
  Alarm a{&fired, 1}, b{&fired, 2};
  wheel.arm(a.timer, Instant{} + milliseconds(5));
  wheel.arm(b.timer, Instant{} + seconds(10));  // more than one revolution
  wheel.advance(Instant{} + milliseconds(4));
  EXPECT_TRUE(fired.empty());
  EXPECT_LE(wheel.next_deadline(), Instant{} + milliseconds(5));
  wheel.advance(Instant{} + milliseconds(5));
  EXPECT_EQ(fired, std::vector<int>{1});
  wheel.advance(Instant{} + seconds(9));
  EXPECT_EQ(fired.size(), 1u);
  wheel.advance(Instant{} + milliseconds(10001));
  EXPECT_EQ(fired.back(), 2);
  EXPECT_EQ(wheel.next_deadline(), Instant::never());
}

TEST(TimerWheel, NextDeadlineLeadsToEveryTimerInOrder) {
  Prng prng{42};
  TimerWheel wheel{Instant{0}};
  std::vector<int> fired;
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < 200; ++i) {
    alarms.push_back(std::make_unique<Alarm>(&fired, i));
    wheel.arm(alarms.back()->timer, Instant{int64_t(prng.below(20'000'000'000))});
  }
  Instant now{0};
  size_t last = 0;
  while (wheel.next_deadline() != Instant::never()) {
    ASSERT_GE(wheel.next_deadline(), now);
    now = wheel.next_deadline();
    wheel.advance(now);
    for (; last < fired.size(); ++last) {
      const Instant deadline = alarms[size_t(fired[last])]->timer.deadline();
      EXPECT_LE(deadline, now);
      EXPECT_LT((now - deadline).ns, 2'000'000);
    }
    now = now + milliseconds(1);
  }
  EXPECT_EQ(fired.size(), 200u);
}

TEST(TimerWheel, ATimerMayDisarmOneThatIsDueInTheSameTick) {
  TimerWheel wheel{Instant{0}};
  struct Pair {
    TimerWheel* wheel;
    Pair* other = nullptr;
    int fired = 0;
    void ring() {
      ++fired;
      wheel->disarm(other->timer);
    }
    Timer timer = Timer::calling<&Pair::ring>(this);
  };
  Pair a{&wheel}, b{&wheel};
  a.other = &b;
  b.other = &a;
  wheel.arm(a.timer, Instant{1});
  wheel.arm(b.timer, Instant{1});
  wheel.advance(Instant{} + milliseconds(2));
  EXPECT_EQ(a.fired + b.fired, 1);
}

TEST(Mailbox, DeliversEachSendersMessagesInOrder) {
  constexpr int kSenders = 4, kEach = 2000;
  struct Note final : Message {
    int sender = 0, number = 0;
    void deliver() override {}
  };
  Mailbox mailbox;
  std::vector<std::vector<Note>> notes;
  for (int s = 0; s < kSenders; ++s) notes.emplace_back(kEach);
  std::vector<std::jthread> threads;
  for (int s = 0; s < kSenders; ++s) {
    threads.emplace_back([&, s] {
      for (int n = 0; n < kEach; ++n) {
        notes[size_t(s)][size_t(n)].sender = s;
        notes[size_t(s)][size_t(n)].number = n;
        mailbox.post(notes[size_t(s)][size_t(n)]);
      }
    });
  }
  std::vector<int> next(kSenders);
  for (int got = 0; got < kSenders * kEach;) {
    auto* note = static_cast<Note*>(mailbox.take());
    if (note == nullptr) continue;
    EXPECT_EQ(note->number, next[size_t(note->sender)]++);
    ++got;
  }
  EXPECT_EQ(mailbox.take(), nullptr);
  EXPECT_TRUE(mailbox.empty());
}

TEST(Reactor, ASleepingReactorIsWokenByAPost) {
  testing_support::BlockingClock clock;
  testing_support::NullSink sink;
  Reactor reactor{{.spin = Duration{0}}, clock, sink};
  std::jthread thread{[&] { reactor.run(); }};
  std::atomic<int> ran{0};
  for (int i = 0; i < 1000; ++i) {
    reactor.post([&] { ++ran; });
    if (i % 100 == 0) {
      while (ran <= i) std::this_thread::yield();
    }
  }
  reactor.post([&] { reactor.stop(); });
  thread.join();
  EXPECT_EQ(ran, 1000);
}

}  // namespace
}  // namespace weft
