#include "core/latencies.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Latencies, SayWithinWhichPowerOfTwoHowManyWereDone) {
  Latencies first, second;
  for (int i = 0; i < 50; ++i) first.add(nanoseconds(1000));
  for (int i = 0; i < 49; ++i) second.add(nanoseconds(5000));
  second.add(seconds(3600));
  Latencies::Sum sum;
  sum.add(first);
  sum.add(second);
  EXPECT_EQ(sum.count(), 100u);
  EXPECT_EQ(sum.within(500).ns, 1024);
  EXPECT_EQ(sum.within(990).ns, 8192);
  EXPECT_EQ(sum.within(1000).ns, int64_t{1} << (Latencies::kBuckets - 1));
}

TEST(Latencies, TakeAnOperationThatTookNoTime) {
  Latencies latencies;
  latencies.add({});
  Latencies::Sum sum;
  sum.add(latencies);
  EXPECT_EQ(sum.within(1000).ns, 1);
}

}  // namespace
}  // namespace weft
