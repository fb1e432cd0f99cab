// What every reactor's clock promises (src/core/clock.h), asked of each through its *world*: a clock, and a way to wake
// it from outside while it waits. Who adds a clock writes a world and instantiates ClockConformance with it.
#pragma once
#include "core/clock.h"

#include <concepts>
#include <gtest/gtest.h>

namespace weft::conformance {

template <typename W>
concept ClockWorld = requires(W world) {
  { world.clock() } -> std::same_as<Clock&>;
  { world.poll() };       // what the clock wants between two waits
  { world.wake_soon() };  // wake() is called by somebody else: now, or while the next wait() is in progress
};

template <ClockWorld W>
class ClockConformance : public ::testing::Test {
 protected:
  static constexpr Duration kLong = seconds(60);
  Clock& clock() { return world_.clock(); }
  /// Waits for `kLong` at most; whether it was over before that.
  bool ends_early() {
    const Instant deadline = clock().now() + kLong;
    clock().wait(deadline);
    return clock().now() < deadline;
  }
  W world_;
};

TYPED_TEST_SUITE_P(ClockConformance);

TYPED_TEST_P(ClockConformance, TimeNeverGoesBack) {
  Instant last = this->clock().now();
  for (int i = 0; i < 100; ++i) {
    this->clock().wait(last + microseconds(i));
    const Instant now = this->clock().now();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GT(last.ns, 0);
}

TYPED_TEST_P(ClockConformance, AWaitEndsAtItsDeadlineThoughNobodyWakesIt) {
  // It may return early, so it is repeated, as a reactor does.
  const Instant deadline = this->clock().now() + milliseconds(3);
  while (this->clock().now() < deadline) this->clock().wait(deadline);
  EXPECT_LT(this->clock().now(), deadline + this->kLong);
}

TYPED_TEST_P(ClockConformance, APastDeadlineIsNoWait) {
  const Instant now = this->clock().now();
  this->clock().wait(Instant{now.ns - 1});
  this->clock().wait(Instant{0});
  EXPECT_LT(this->clock().now(), now + this->kLong);
}

TYPED_TEST_P(ClockConformance, AWakeBeforeTheWaitEndsIt) {
  this->clock().wake();
  EXPECT_TRUE(this->ends_early());
}

TYPED_TEST_P(ClockConformance, WakesThatWereAnsweredEndNoLaterWait) {
  for (int i = 0; i < 5; ++i) this->clock().wake();
  EXPECT_TRUE(this->ends_early());
  const Instant deadline = this->clock().now() + milliseconds(3);
  int waits = 0;
  for (; this->clock().now() < deadline; ++waits) {
    this->world_.poll();
    this->clock().wait(deadline);
  }
  EXPECT_LE(waits, 6);  // one for each that was still to be answered, and the wait itself
}

TYPED_TEST_P(ClockConformance, AWakeDuringAWaitEndsIt) {
  for (int i = 0; i < 20; ++i) {
    this->world_.wake_soon();
    ASSERT_TRUE(this->ends_early()) << i;
  }
}

TYPED_TEST_P(ClockConformance, AWakeEndsAWaitWithoutADeadline) {
  this->world_.wake_soon();
  const Instant before = this->clock().now();
  this->clock().wait(Instant::never());
  EXPECT_LT(this->clock().now(), before + this->kLong);
}

TYPED_TEST_P(ClockConformance, TheWallClockCountsFromTheYear1970) {
  constexpr uint64_t kYear2020 = 1'577'836'800'000;
  constexpr uint64_t kYear2100 = 4'102'444'800'000;
  EXPECT_GT(this->clock().wall_clock_ms(), kYear2020);
  EXPECT_LT(this->clock().wall_clock_ms(), kYear2100);
}

REGISTER_TYPED_TEST_SUITE_P(ClockConformance, TimeNeverGoesBack, AWaitEndsAtItsDeadlineThoughNobodyWakesIt,
                            APastDeadlineIsNoWait, AWakeBeforeTheWaitEndsIt, WakesThatWereAnsweredEndNoLaterWait,
                            AWakeDuringAWaitEndsIt, AWakeEndsAWaitWithoutADeadline, TheWallClockCountsFromTheYear1970);

}  // namespace weft::conformance
