#include "bench/in_flight.h"

#include <gtest/gtest.h>

#include <utility>

namespace weft::bench {
namespace {

Instant at(int64_t ns) { return Instant{std::chrono::nanoseconds(ns)}; }

using Taken = std::vector<std::pair<int64_t, uint32_t>>;

Taken answered(CommandsInOrder& commands, uint32_t count) {
  Taken taken;
  commands.answered(count, [&](Instant sent_at, uint32_t part) { taken.emplace_back(sent_at.time_since_epoch().count(), part); });
  return taken;
}

TEST(CommandsInOrder, GiveTheOldestCommandsToTheFirstAnswers) {
  CommandsInOrder commands(8);
  commands.sent(at(10), 4);
  commands.sent(at(20), 2);
  EXPECT_EQ(answered(commands, 3), (Taken{{10, 3}}));
  commands.sent(at(30), 3);
  EXPECT_EQ(answered(commands, 6), (Taken{{10, 1}, {20, 2}, {30, 3}}));
}

TEST(CommandsInOrder, HoldAsManySendsAsTheQueueIsDeep) {
  CommandsInOrder commands(3);
  for (int64_t round = 0; round < 5; ++round) {
    for (int64_t i = 0; i < 3; ++i) commands.sent(at(round * 3 + i), 1);
    EXPECT_EQ(answered(commands, 3), (Taken{{round * 3, 1}, {round * 3 + 1, 1}, {round * 3 + 2, 1}}));
  }
}

TEST(CommandsByCid, KnowWhenEachWasSentInWhateverOrderTheyAreAnswered) {
  CommandsByCid commands(2);
  const uint16_t first = commands.sent(at(1));
  const uint16_t second = commands.sent(at(2));
  EXPECT_NE(first, second);
  EXPECT_EQ(commands.answered(second), at(2));
  EXPECT_FALSE(commands.is_outstanding(second));
  EXPECT_EQ(commands.sent(at(3)), second);
  EXPECT_EQ(commands.answered(first), at(1));
  EXPECT_FALSE(commands.is_outstanding(500));
}

}  // namespace
}  // namespace weft::bench
