// Which work requests are signalled, and what a completion frees.
#include "transport/rdma/send_ring.h"

#include <gtest/gtest.h>

#include "nvmf/command.h"

namespace weft::rdma {
namespace {

constexpr uint32_t kCapacity = 64;

class SendRingTest : public ::testing::Test {
 protected:
  void respond(size_t buffer_bytes = 4096, uint32_t writes = 1) {
    for (uint32_t i = 0; i < writes; ++i) ring_.stage_write({.local_address = 1, .length = 1, .local_key = 2, .remote_address = 3, .remote_key = 4}, command_);
    ring_.stage_response({}, std::nullopt, {Share::kRead, std::span(memory_).first(buffer_bytes)}, command_);
  }
  void fetch() { ring_.stage_read({.local_address = 1, .length = 1, .local_key = 2, .remote_address = 3, .remote_key = 4}, command_); }
  /// Takes the chain; which of it is signalled, by place.
  std::vector<size_t> post() {
    std::vector<size_t> signalled;
    size_t place = 0;
    for (const ibv_send_wr* request = ring_.take_chain([](nvmf::Command&) {}); request != nullptr; request = request->next, ++place) {
      last_ = request->wr_id;
      if ((request->send_flags & IBV_SEND_SIGNALED) != 0) signalled.push_back(place);
    }
    return signalled;
  }
  size_t complete(uint64_t wr_id) {
    size_t done = 0;
    ring_.complete(wr_id, [&](SendRing::Done) { ++done; });
    return done;
  }

  std::vector<std::byte> memory_ = std::vector<std::byte>(256 << 10);
  nvmf::Command command_;
  SendRing ring_{kCapacity};
  uint64_t last_ = 0;
};

TEST_F(SendRingTest, EveryReadIsSignalled) {
  for (int i = 0; i < 3; ++i) fetch();
  EXPECT_EQ(post(), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(ring_.reads(), 3u);
}

TEST_F(SendRingTest, EveryWriteIsSignalledWhereItsMemoryIsReadLate) {
  ring_ = SendRing(kCapacity, SendRing::Writes::kSignalled);
  respond(4096, 2);
  EXPECT_EQ(post(), (std::vector<size_t>{0, 1}));
  EXPECT_TRUE(ring_.is_last_silent());
  EXPECT_EQ(complete(last_ - 1), 2u);
  EXPECT_FALSE(ring_.empty()) << "the response keeps the buffer";
}

TEST_F(SendRingTest, EverySixteenthResponseIsSignalled) {
  for (int i = 0; i < 16; ++i) respond(0, 0);
  EXPECT_EQ(post(), (std::vector<size_t>{15}));
  EXPECT_FALSE(ring_.is_last_silent());
}

TEST_F(SendRingTest, NoHalfOfTheQueueIsWithoutASignal) {
  uint32_t since = 0;
  for (uint32_t round = 0; round < 100; ++round) {
    const uint32_t writes = round % 17;
    if (ring_.room() <= writes) {
      EXPECT_GT(complete(last_), 0u);
    }
    respond(0, writes);
    since += writes + 1;
    if (!post().empty()) since = 0;
    EXPECT_LE(since, kCapacity / 2);
  }
}

TEST_F(SendRingTest, MuchMemoryIsNotHeldWithoutASignal) {
  respond(128 << 10);
  EXPECT_TRUE(post().empty());
  respond(128 << 10);
  EXPECT_FALSE(post().empty());
}

TEST_F(SendRingTest, ACompletionFreesAllBeforeItAndNothingTwice) {
  respond();
  respond();
  ring_.signal_last();
  EXPECT_EQ(post(), (std::vector<size_t>{3}));
  EXPECT_TRUE(ring_.awaits_completion());
  EXPECT_EQ(complete(3), 4u);
  EXPECT_EQ(complete(3), 0u);
  EXPECT_TRUE(ring_.empty());
  EXPECT_FALSE(ring_.awaits_completion());
}

// siw says that a SEND is done before a READ that was posted earlier, whose data is not here yet.
TEST_F(SendRingTest, AReadIsDoneByItsOwnCompletionOnly) {
  respond();
  fetch();
  fetch();
  respond();
  ring_.signal_last();
  post();
  EXPECT_EQ(complete(last_), 2u);  // what is before the READs
  EXPECT_EQ(ring_.reads(), 2u);
  EXPECT_EQ(complete(3), 0u);
  EXPECT_EQ(complete(2), 4u);
  EXPECT_TRUE(ring_.empty());
}

TEST_F(SendRingTest, WhatIsStagedWhileWorkCompletesIsPostedAfterIt) {
  respond();
  ring_.signal_last();
  post();
  ring_.complete(last_, [&](SendRing::Done what) {
    if (what.kind == SendRing::Kind::kResponse) respond(0, 0);
  });
  EXPECT_TRUE(ring_.has_staged());
  ring_.signal_last();
  EXPECT_EQ(post(), (std::vector<size_t>{0}));
}

TEST_F(SendRingTest, GoesRoundManyTimes) {
  for (int i = 0; i < 1000; ++i) {
    respond();
    ring_.signal_last();
    post();
    EXPECT_EQ(complete(last_), 2u);
  }
}

}  // namespace
}  // namespace weft::rdma
