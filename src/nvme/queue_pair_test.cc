#include "nvme/queue_pair.h"

#include <gtest/gtest.h>

#include <array>

#include "nvme/test_support.h"

namespace weft::nvme {
namespace {

using testing_support::PlainFunction;
using testing_support::TestPair;

TEST(QueuePair, EntriesAreBuiltInPlaceAndToldOfOnce) {
  TestPair test(8);
  for (int i = 0; i < 3; ++i) test.begin().sqe.opcode = uint8_t(IoOpcode::kRead);
  EXPECT_EQ(test.function.take_log(), "");
  test.pair.flush();
  EXPECT_EQ(test.function.take_log(), "publish w1018=3 ");  // SQ tail doorbell of queue 3
  EXPECT_EQ(test.entry(2).opcode, uint8_t(IoOpcode::kRead));
  test.pair.flush();
  EXPECT_EQ(test.function.take_log(), "");
}

TEST(QueuePair, ABatchIsObservedOnceAndItsHeadToldOnce) {
  TestPair test(8);
  for (int i = 0; i < 4; ++i) test.begin();
  test.pair.flush();
  test.function.take_log();
  test.complete(2, 4);
  test.complete(0, 4, status::kWriteFault);
  test.complete(3, 4);
  EXPECT_EQ(test.pair.reap(), 3u);
  EXPECT_EQ(test.take_ended(), "2:0 0:128 3:0 ");
  EXPECT_EQ(test.pair.outstanding(), 1u);
  test.pair.flush();
  EXPECT_EQ(test.function.take_log(), "observe publish w101c=3 ");
  EXPECT_EQ(test.pair.reap(), 0u);
  EXPECT_EQ(test.function.take_log(), "");
}

/// What a command at a queue depth costs in doorbells and cache lines: the economy that docs/performance.md speaks of.
TEST(QueuePair, ThirtyTwoReadsInACycleTakeTwoDoorbellsAndOneLineEachWay) {
  constexpr uint32_t kDepth = 32;
  TestPair test(128);
  for (uint32_t i = 0; i < kDepth; ++i) set_data(test.begin().sqe, 0x10000 + i * kPageBytes, kPageBytes, {}, DataPointers::kPrps);
  test.pair.flush();
  for (uint16_t cid = 0; cid < kDepth; ++cid) test.complete(cid, kDepth);
  EXPECT_EQ(test.pair.reap(), size_t{kDepth});
  test.pair.flush();
  EXPECT_EQ(test.pair.rings(), 2u);
  EXPECT_EQ(sizeof(Sqe), 64u);
  EXPECT_EQ(64 / sizeof(Cqe), 4u);  // completions of a line
}

TEST(QueuePair, ThePhaseTurnsWithEveryRound) {
  TestPair test(4);
  for (uint32_t i = 0; i < 30; ++i) {
    ASSERT_TRUE(test.pair.has_room());
    const auto slot = test.begin();
    test.pair.flush();
    EXPECT_FALSE(test.pair.has_completions());
    test.complete(slot.cid, uint16_t((i + 1) % 4));
    EXPECT_TRUE(test.pair.has_completions());
    EXPECT_EQ(test.pair.reap(), 1u);
    EXPECT_EQ(test.pair.broken(), nullptr);
    test.pair.flush();
  }
  EXPECT_EQ(test.function.last[0x1018], 30u % 4);
  EXPECT_EQ(test.function.last[0x101c], 30u % 4);
}

TEST(QueuePair, ACommandIdIsUsedAgainOnlyWhenItsCompletionCame) {
  TestPair test(4);
  const uint16_t first = test.begin().cid, second = test.begin().cid, third = test.begin().cid;
  EXPECT_FALSE(test.pair.has_room());
  EXPECT_NE(first, second);
  EXPECT_NE(second, third);
  test.pair.flush();
  test.complete(second, 2);
  test.pair.reap();
  const uint16_t fourth = test.begin().cid;
  EXPECT_EQ(fourth % 1024, second);
  EXPECT_NE(fourth, second);
  EXPECT_FALSE(test.pair.has_room());
}

TEST(QueuePair, ARecipientMayBeginTheNextCommand) {
  TestPair test(4);
  struct Chain {
    TestPair& test;
    int left = 5;
    uint16_t cid = 0;
    static void on_done(void* owner, uint64_t, const Completion&) {
      auto& self = *static_cast<Chain*>(owner);
      if (--self.left > 0) self.begin();
    }
    void begin() { cid = test.pair.begin({on_done, this, 0}, Instant::never()).cid; }
  } chain{test};
  chain.begin();
  for (uint16_t i = 0; i < 5; ++i) {
    test.pair.flush();
    test.complete(chain.cid, uint16_t((i + 1) % 4));
    test.pair.reap();
  }
  EXPECT_EQ(chain.left, 0);
  EXPECT_EQ(test.pair.outstanding(), 0u);
}

TEST(QueuePair, ACommandThatNeedsAListHasAPageOfItsOwn) {
  TestPair test(8);
  const auto first = test.begin(), second = test.begin();
  EXPECT_EQ(first.list.iova % kPageBytes, 0u);
  EXPECT_EQ(first.list.entries.size(), size_t{kPrpsOfAPage});
  EXPECT_EQ(reinterpret_cast<uint64_t>(first.list.entries.data()) + PlainFunction::kIovaOffset, first.list.iova);
  EXPECT_NE(first.list.iova, second.list.iova);
}

struct Impossible {
  const char* what;
  uint16_t cid, sqhd, sqid;
};

TEST(QueuePair, ACompletionThatCannotBeBreaksTheQueue) {
  constexpr Impossible kCases[] = {
      {"a completion with a command ID that was never used", 200, 1, TestPair::kQid},
      {"a completion for a command that is not outstanding", 5, 1, TestPair::kQid},
      {"a submission queue head beyond the queue's end", 0, 8, TestPair::kQid},
      {"a submission queue head that has overtaken the tail", 0, 4, TestPair::kQid},
      {"a completion for a command before it was fetched", 1, 1, TestPair::kQid},
      {"a completion of another queue", 0, 1, 7},
  };
  for (const Impossible& each : kCases) {
    TestPair test(8);
    test.begin();
    test.begin();
    test.pair.flush();
    test.complete(each.cid, each.sqhd, {}, each.sqid);
    test.pair.reap();
    ASSERT_NE(test.pair.broken(), nullptr) << each.what;
    EXPECT_STREQ(test.pair.broken(), each.what);
    EXPECT_EQ(test.take_ended(), "");
  }
}

TEST(QueuePair, ASecondCompletionOfACommandBreaksTheQueueAndWhatFollowsIsNotBelieved) {
  TestPair test(8);
  test.begin();
  test.begin();
  test.pair.flush();
  test.complete(0, 1);
  test.complete(0, 1);
  test.complete(1, 2);
  test.pair.reap();
  EXPECT_EQ(test.take_ended(), "0:0 ");
  EXPECT_STREQ(test.pair.broken(), "a completion for a command that is not outstanding");
  EXPECT_EQ(test.pair.reap(), 0u);
}

TEST(QueuePair, ASecondCompletionIsNotTakenForThatOfTheNextCommand) {
  TestPair test(4);
  const uint16_t first = test.begin().cid;
  test.pair.flush();
  test.complete(first, 1);
  test.pair.reap();
  EXPECT_EQ(test.begin().cid % 1024, first % 1024);
  test.pair.flush();
  test.take_ended();
  test.complete(first, 2);
  test.pair.reap();
  EXPECT_EQ(test.take_ended(), "");
  EXPECT_STREQ(test.pair.broken(), "a completion for a command that is not outstanding");
}

TEST(QueuePair, AfterEndAllItIsAsNew) {
  TestPair test(4);
  test.begin();
  test.begin();
  test.pair.flush();
  test.complete(0, 1);
  test.pair.end_all();
  EXPECT_EQ(test.take_ended(), "0:none 1:none ");
  EXPECT_FALSE(test.pair.has_completions());
  EXPECT_EQ(test.entry(0).opcode, 0);
  test.posted = 0;
  const auto slot = test.begin();
  test.pair.flush();
  EXPECT_EQ(test.function.last[0x1018], 1u);
  test.complete(slot.cid, 1);
  EXPECT_EQ(test.pair.reap(), 1u);
}

TEST(QueuePair, TheOldestOverdueCommandIsNamedOnceForEachTime) {
  TestPair test(4);
  test.begin(Instant{100});
  const auto second = test.begin(Instant{50});
  EXPECT_FALSE(test.pair.take_overdue(Instant{49}, Instant{90}).has_value());
  const auto late = test.pair.take_overdue(Instant{60}, Instant{90});
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->cid, second.cid);
  EXPECT_EQ(late->warnings, 0);
  EXPECT_FALSE(test.pair.take_overdue(Instant{60}, Instant{90}).has_value());
  EXPECT_EQ(test.pair.take_overdue(Instant{95}, Instant{200})->warnings, 1);
}

class ShadowTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kTail = sq_tail_doorbell(TestPair::kQid, 4);
  uint32_t shadow() const { return load_le32(values_.data() + kTail); }
  void set_event(uint32_t index) { store_le32(events_.data() + kTail, index); }
  alignas(4) std::array<std::byte, kPageBytes> values_{};
  alignas(4) std::array<std::byte, kPageBytes> events_{};
  TestPair test_{8, ShadowDoorbells{values_, events_}};
};

TEST_F(ShadowTest, TheRegisterIsWrittenOnlyWhenTheDeviceHasAskedForIt) {
  test_.begin();
  test_.pair.flush();  // EventIdx 0: it wants to hear of the first
  EXPECT_EQ(test_.function.take_log(), "publish fence w1018=1 ");
  EXPECT_EQ(shadow(), 1u);
  test_.begin();
  test_.pair.flush();
  EXPECT_EQ(test_.function.take_log(), "publish fence ");
  EXPECT_EQ(shadow(), 2u);
  set_event(2);
  test_.begin();
  test_.begin();
  test_.pair.flush();
  EXPECT_EQ(test_.function.take_log(), "publish fence w1018=4 ");
}

TEST_F(ShadowTest, AQueueThatBeginsAnewLeavesNoIndexOfTheOldOne) {
  test_.begin();
  test_.pair.flush();
  set_event(1);
  test_.pair.end_all();
  EXPECT_EQ(shadow(), 0u);
  EXPECT_EQ(load_le32(events_.data() + kTail), 0u);
}

TEST(Shadow, AnEventIsPassedAlsoAcrossTheEndOfTheQueue) {
  EXPECT_TRUE(passes_event(0, 0, 1));
  EXPECT_FALSE(passes_event(0, 1, 2));
  EXPECT_TRUE(passes_event(3, 2, 5));
  EXPECT_FALSE(passes_event(5, 2, 5));
  EXPECT_TRUE(passes_event(60, 60, 2));   // of 64
  EXPECT_FALSE(passes_event(50, 60, 2));  // it has more to fetch
}

}  // namespace
}  // namespace weft::nvme
