// The data buffers of a reactor: that they never overlap, come home whole, and that no account takes a share from the others.
#include "core/buffer_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "base/prng.h"
#include "core/poison.h"
#include "core/test_support.h"

namespace weft {
namespace {

TEST(BuddyAllocator, RandomUseNeverOverlapsAndComesHomeWhole) {
  testing_support::HeapMemory memory;
  auto region = memory.map(1 << 20, "test");
  BuddyAllocator buddy{region->bytes()};
  Prng prng{7};
  std::vector<std::span<std::byte>> held;
  for (int i = 0; i < 5000; ++i) {
    if (prng.one_in(2)) {
      const auto buffer = buddy.allocate(1 + prng.below(100'000));
      if (buffer.empty()) continue;
      for (const auto& other : held) {
        EXPECT_TRUE(buffer.data() + buffer.size() <= other.data() || other.data() + other.size() <= buffer.data());
      }
      held.push_back(buffer);
    } else if (!held.empty()) {
      const size_t victim = prng.below(held.size());
      buddy.free(held[victim]);
      held.erase(held.begin() + std::ptrdiff_t(victim));
    }
  }
  for (const auto& buffer : held) buddy.free(buffer);
  EXPECT_EQ(buddy.bytes_in_use(), 0u);
  const auto whole = buddy.allocate(1 << 20);  // everything has merged again
  ASSERT_FALSE(whole.empty());
  buddy.free(whole);
}

TEST(BuddyAllocator, FitsWhatItsLargestBlockHolds) {
  testing_support::HeapMemory memory;
  auto region = memory.map(3 << 18, "test");
  const BuddyAllocator buddy{region->bytes()};  // 512 KiB and 256 KiB
  EXPECT_TRUE(buddy.fits(512 << 10));
  EXPECT_FALSE(buddy.fits((512 << 10) + 1));
}

#ifdef WEFT_SIMULATION
TEST(BuddyAllocator, ABufferIsGivenOutWithAPatternInIt) {
  testing_support::HeapMemory memory;
  auto region = memory.map(8192, "test");
  BuddyAllocator buddy{region->bytes()};
  const auto buffer = buddy.allocate(5000);
  EXPECT_EQ(buffer.front(), kUnfilledPattern);
  EXPECT_EQ(buffer.back(), kUnfilledPattern);
  std::ranges::fill(buffer, std::byte{0});
  buddy.free(buffer);
  permit_access(buffer);  // what somebody would read who still uses it
  EXPECT_EQ(buffer.front(), kFreedPattern);
  EXPECT_EQ(buffer.back(), kFreedPattern);
  forbid_access(buffer);
}
#endif

#ifdef WEFT_HAS_ASAN
TEST(BuddyAllocatorDeathTest, ABufferThatWasGivenBackMayNotBeTouched) {
  testing_support::HeapMemory memory;
  auto region = memory.map(8192, "test");
  BuddyAllocator buddy{region->bytes()};
  const auto buffer = buddy.allocate(4096);
  buddy.free(buffer);
  EXPECT_DEATH(buffer[0] = std::byte{1}, "use-after-poison");
}
#endif

struct Waiter final : BufferWaiter {
  std::span<std::byte> got;
  void on_buffer(std::span<std::byte> buffer) override { got = buffer; }
};

/// A pool with 1 MiB in the share for reads, of which an account takes one part in `part` of what is free.
struct Pool : testing::Test {
  static constexpr size_t kWhole = 1 << 20;
  void make(uint32_t part) {
    pool = std::move(BufferPool::create(memory, {.admin_share_bytes = kWhole,
                                                 .in_capsule_share_bytes = kWhole,
                                                 .transfer_share_bytes = kWhole,
                                                 .read_share_bytes = kWhole,
                                                 .scratch_share_bytes = kWhole,
                                                 .fused_share_bytes = kWhole,
                                                 .account_part = part})
                         .value());
  }
  ~Pool() override {
    for (const auto& [share, buffer] : held) pool->free(share, buffer);
  }
  /// A buffer now, or not; the test gives it back.
  bool take(BufferAccount& account, size_t size, Share share = Share::kRead) {
    const auto buffer = pool->try_allocate(account, share, size);
    if (!buffer.empty()) held.push_back({share, buffer});
    return !buffer.empty();
  }
  void wait(BufferAccount& account, size_t size, Waiter& waiter) { pool->wait(account, Share::kRead, size, waiter); }
  void give_back(Waiter& waiter) { pool->free(Share::kRead, std::exchange(waiter.got, {})); }
  void give_back_last() {
    pool->free(held.back().first, held.back().second);
    held.pop_back();
  }

  testing_support::HeapMemory memory;
  std::unique_ptr<BufferPool> pool;
  std::vector<std::pair<Share, std::span<std::byte>>> held;
};

TEST_F(Pool, NobodyOvertakesTheOneWhoseTurnItIs) {
  make(1);
  BufferAccount &a = pool->open_account(), &b = pool->open_account(), &c = pool->open_account();
  ASSERT_TRUE(take(a, kWhole / 2));
  Waiter large, small;
  ASSERT_FALSE(take(b, kWhole));
  wait(b, kWhole, large);
  EXPECT_FALSE(take(c, 4096));
  wait(c, 4096, small);
  EXPECT_EQ(pool->poll(), 0u);
  give_back_last();
  EXPECT_EQ(pool->poll(), 1u);
  EXPECT_EQ(large.got.size(), kWhole);
  give_back(large);
  EXPECT_EQ(pool->poll(), 1u);
  give_back(small);
}

TEST_F(Pool, SharesDoNotLendToEachOther) {
  make(1);
  BufferAccount& account = pool->open_account();
  ASSERT_TRUE(take(account, kWhole, Share::kScratch));
  EXPECT_FALSE(take(account, 4096, Share::kScratch));
  EXPECT_TRUE(take(account, 4096, Share::kTransfer));
}

TEST_F(Pool, AnAccountTakesItsPartOfWhatIsFreeAndNoMore) {
  make(4);
  BufferAccount &greedy = pool->open_account(), &second = pool->open_account();
  while (take(greedy, 4096)) {}
  EXPECT_EQ(greedy.bytes_held(Share::kRead), kWhole / 5 / 4096 * 4096);
  while (take(second, 4096)) {}
  EXPECT_LE(second.bytes_held(Share::kRead) * 4, kWhole - pool->bytes_in_use(Share::kRead));
  EXPECT_GT(second.bytes_held(Share::kRead), kWhole / 8);
}

TEST_F(Pool, WhoHasItsPartWaitsAndOthersGoPast) {
  make(4);
  BufferAccount &greedy = pool->open_account(), &modest = pool->open_account();
  while (take(greedy, 65536)) {}
  Waiter more, first;
  wait(greedy, 65536, more);
  EXPECT_EQ(pool->poll(), 0u);
  EXPECT_FALSE(take(modest, 65536));  // others wait: in poll(), not before them
  wait(modest, 65536, first);
  EXPECT_EQ(pool->poll(), 1u);
  EXPECT_FALSE(first.got.empty());
  EXPECT_TRUE(more.got.empty());
  give_back_last();
  give_back(first);
  EXPECT_EQ(pool->poll(), 1u);
  give_back(more);
}

TEST_F(Pool, TheLargestRequestFitsWhateverAnAccountsPartIs) {
  make(64);
  BufferAccount &one = pool->open_account(), &other = pool->open_account();
  ASSERT_TRUE(take(one, kWhole));
  Waiter waiter;
  wait(other, kWhole, waiter);
  EXPECT_EQ(pool->poll(), 0u);
  give_back_last();
  EXPECT_EQ(pool->poll(), 1u);
  give_back(waiter);
}

TEST_F(Pool, AccountsAreServedInTurnEachInItsOwnOrder) {
  make(1);
  BufferAccount &holder = pool->open_account(), &many = pool->open_account(), &few = pool->open_account();
  ASSERT_TRUE(take(holder, kWhole));
  std::array<Waiter, 3> first;
  Waiter second;
  for (Waiter& waiter : first) wait(many, kWhole, waiter);
  wait(few, kWhole, second);
  give_back_last();
  pool->poll();
  ASSERT_FALSE(first[0].got.empty());
  give_back(first[0]);
  pool->poll();
  ASSERT_FALSE(second.got.empty());  // although two came before it
  give_back(second);
  pool->poll();
  ASSERT_FALSE(first[1].got.empty());
  EXPECT_TRUE(first[2].got.empty());
  give_back(first[1]);
  pool->poll();
  give_back(first[2]);
}

TEST_F(Pool, WhoStopsWaitingLetsTheOthersGoOn) {
  make(1);
  BufferAccount &holder = pool->open_account(), &large = pool->open_account(), &small = pool->open_account();
  ASSERT_TRUE(take(holder, 4096));
  Waiter blocked, behind;
  wait(large, kWhole, blocked);
  wait(small, 4096, behind);
  EXPECT_EQ(pool->poll(), 0u);
  pool->cancel(blocked);
  EXPECT_EQ(pool->poll(), 1u);
  EXPECT_TRUE(blocked.got.empty());
  give_back(behind);
}

TEST_F(Pool, BothHalvesOfAPairFitWhateverAnAccountsPartIs) {
  make(64);
  BufferAccount& account = pool->open_account();
  EXPECT_TRUE(take(account, kWhole / 2, Share::kFused));
  EXPECT_TRUE(take(account, kWhole / 2, Share::kFused));
}

TEST_F(Pool, AClosedAccountIsChargedUntilWhatItHoldsIsBack) {
  make(4);
  BufferAccount &gone = pool->open_account(), &other = pool->open_account();
  ASSERT_TRUE(take(gone, kWhole));
  pool->close_account(gone);
  Waiter waiter;
  wait(other, 4096, waiter);
  EXPECT_EQ(pool->poll(), 0u);
  give_back_last();
  EXPECT_EQ(pool->poll(), 1u);
  give_back(waiter);
}

TEST_F(Pool, RandomUseWithHostileLimitsEndsWithEveryWaiterServed) {
  make(64);
  constexpr uint64_t kSeed = 20241122;
  RecordProperty("seed", std::to_string(kSeed));
  Prng prng{kSeed};
  std::vector<BufferAccount*> accounts;
  for (int i = 0; i < 8; ++i) accounts.push_back(&pool->open_account());
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (int i = 0; i < 4000; ++i) {
    if (prng.one_in(2)) {
      waiters.push_back(std::make_unique<Waiter>());
      wait(*accounts[prng.below(accounts.size())], size_t{4096} << prng.below(9), *waiters.back());
    } else if (!waiters.empty()) {
      const size_t which = prng.below(waiters.size());
      pool->cancel(*waiters[which]);
      if (!waiters[which]->got.empty()) give_back(*waiters[which]);
      waiters.erase(waiters.begin() + std::ptrdiff_t(which));
    }
    pool->poll();
  }
  // Who has a buffer gives it back at some time: then everybody gets one.
  for (size_t rounds = 0; !waiters.empty(); ++rounds) {
    ASSERT_LT(rounds, 4000u);
    const size_t served = std::erase_if(waiters, [&](const auto& waiter) {
      if (waiter->got.empty()) return false;
      give_back(*waiter);
      return true;
    });
    EXPECT_TRUE(served > 0 || rounds == 0);
    pool->poll();
  }
}

}  // namespace
}  // namespace weft
