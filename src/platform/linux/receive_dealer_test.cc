// Receives dealt to queue pairs that are lists of what was posted to them.
#include "platform/linux/receive_dealer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <initializer_list>

namespace weft::platform {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class FakeQueue final : public ReceiveQueue {
 public:
  int post_receive(ibv_recv_wr* receives, ibv_recv_wr** refused) override {
    ++calls;
    if (error != 0) {
      *refused = receives;
      return error;
    }
    for (; receives != nullptr; receives = receives->next) {
      EXPECT_EQ(receives->sg_list->addr, receives->wr_id * 0x1000);
      posted.push_back(receives->wr_id);
    }
    return 0;
  }
  int error = 0;
  int calls = 0;
  std::vector<uint64_t> posted;
};

class ReceiveDealerTest : public ::testing::Test {
 protected:
  verbs::Posted post(std::initializer_list<uint64_t> ids) {
    std::vector<ibv_recv_wr> chain(ids.size());
    std::vector<ibv_sge> pieces(ids.size());
    for (size_t i = 0; const uint64_t id : ids) {
      pieces[i] = {.addr = id * 0x1000, .length = 64, .lkey = 1};
      chain[i] = {.wr_id = id, .next = i + 1 < ids.size() ? &chain[i + 1] : nullptr, .sg_list = &pieces[i], .num_sge = 1};
      ++i;
    }
    return dealer_.post(chain.data());
  }
  /// The device fills the oldest receive of `queue`, and its completion is polled.
  uint64_t use(FakeQueue& queue) {
    const uint64_t id = queue.posted.front();
    queue.posted.erase(queue.posted.begin());
    dealer_.polled(id);
    return id;
  }
  ReceiveDealer dealer_;
  FakeQueue first_, second_;
};

TEST_F(ReceiveDealerTest, AQueueGetsWhatItWasPromisedWithOneCall) {
  post({1, 2, 3, 4, 5});
  EXPECT_EQ(dealer_.add(first_, 3).error_number, 0);
  EXPECT_THAT(first_.posted, SizeIs(3));
  EXPECT_EQ(first_.calls, 1);
  dealer_.add(second_, 2);
  EXPECT_THAT(second_.posted, SizeIs(2));
}

TEST_F(ReceiveDealerTest, AUsedReceiveGoesBackToWhereItWas) {
  post({1, 2, 3, 4});
  dealer_.add(first_, 2);
  dealer_.add(second_, 2);
  const uint64_t of_first = use(first_);
  const uint64_t of_second = use(second_);
  post({of_second, of_first});
  EXPECT_EQ(first_.posted.back(), of_first);
  EXPECT_EQ(second_.posted.back(), of_second);
  EXPECT_THAT(first_.posted, SizeIs(2));
}

TEST_F(ReceiveDealerTest, WhoComesBeforeThereIsEnoughGetsTheRestLater) {
  post({1});
  dealer_.add(first_, 2);
  dealer_.add(second_, 1);
  EXPECT_THAT(first_.posted, ElementsAre(1));
  EXPECT_THAT(second_.posted, IsEmpty());
  post({2});
  EXPECT_THAT(first_.posted, ElementsAre(1, 2));
  post({3});
  EXPECT_THAT(second_.posted, ElementsAre(3));
}

TEST_F(ReceiveDealerTest, WhatADestroyedQueueHadIsFree) {
  post({1, 2, 3});
  dealer_.add(first_, 3);
  const uint64_t out = use(first_);  // its message is still being looked at
  dealer_.close(first_);
  dealer_.add(second_, 3);
  EXPECT_THAT(second_.posted, IsEmpty());  // the device may still write into them
  dealer_.remove(first_);
  EXPECT_THAT(second_.posted, SizeIs(2));
  post({out});
  EXPECT_THAT(second_.posted, UnorderedElementsAre(1, 2, 3));
  EXPECT_THAT(first_.posted, SizeIs(2));
}

TEST_F(ReceiveDealerTest, AClosedQueueGetsNothingMore) {
  post({1, 2});
  dealer_.add(first_, 2);
  const uint64_t flushed = use(first_);
  dealer_.close(first_);
  post({flushed});
  EXPECT_EQ(first_.calls, 1);
  dealer_.remove(first_);
  dealer_.add(second_, 2);
  EXPECT_THAT(second_.posted, UnorderedElementsAre(1, 2));
}

TEST_F(ReceiveDealerTest, ARefusalIsToldWithItsNumber) {
  first_.error = ENOMEM;
  post({1, 2});
  EXPECT_EQ(dealer_.add(first_, 1).error_number, ENOMEM);
  dealer_.close(first_);
  dealer_.remove(first_);
  dealer_.add(second_, 2);
  EXPECT_THAT(second_.posted, UnorderedElementsAre(1, 2));
}

}  // namespace
}  // namespace weft::platform
