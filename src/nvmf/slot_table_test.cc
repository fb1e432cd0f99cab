// The slots of a queue: what a new one has, what a Connect reserves, and what is left when the pool has nothing more to promise.
#include "nvmf/slot_table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/prng.h"
#include "core/test_support.h"

namespace weft::nvmf {
namespace {

struct Slots : testing::Test {
  static nvme::Sqe sqe(uint16_t cid) {
    nvme::Sqe entry{};
    entry.cid = cid;
    return entry;
  }
  testing_support::HeapMemory memory;
  SlotPool pool = std::move(SlotPool::create(memory, 64).value());
  SlotTable table{pool};
};

TEST_F(Slots, ANewTableTakesOneCommandWhateverOthersHaveReserved) {
  SlotTable greedy{pool};
  ASSERT_TRUE(greedy.resize(64));
  SlotTable fresh{pool};
  Command* connect = fresh.take(sqe(5));
  ASSERT_NE(connect, nullptr);
  EXPECT_EQ(fresh.take(sqe(6)), nullptr);
  EXPECT_EQ(fresh.find(5), connect);
  EXPECT_EQ(fresh.find_tag(SlotTable::tag_of(*connect)), connect);
  EXPECT_FALSE(fresh.resize(2));
  EXPECT_EQ(fresh.size(), 1u);
  fresh.free(*connect);
  EXPECT_EQ(fresh.find(5), nullptr);
  EXPECT_EQ(pool.chunks_in_use(), 0u);
}

TEST_F(Slots, TheConnectIsFoundByItsIdentifierAndItsTagAfterTheTableHasGrown) {
  Command* connect = table.take(sqe(5));
  ASSERT_TRUE(table.resize(4));
  Command* other = table.take(sqe(6));
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(table.find(5), connect);
  EXPECT_EQ(table.find_tag(SlotTable::tag_of(*connect)), connect);
  EXPECT_TRUE(table.take(sqe(5))->is_duplicate);
  size_t seen = 0;
  table.for_each([&](Command& command) {
    ++seen;
    table.free(command);
  });
  EXPECT_EQ(seen, 3u);
}

TEST_F(Slots, ATableThatShrinksAndGrowsAgainTakesWhatItsSizeSays) {
  ASSERT_TRUE(table.resize(64));
  ASSERT_TRUE(table.resize(2));
  Command* first = table.take(sqe(1));
  Command* second = table.take(sqe(2));
  EXPECT_EQ(table.take(sqe(3)), nullptr);
  ASSERT_TRUE(table.resize(64));  // what was promised is kept
  Command* third = table.take(sqe(3));
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(table.find(1), first);
  for (Command* command : {first, second, third}) table.free(*command);
}

TEST_F(Slots, AnyOrderOfComingAndGoingFindsWhatIsThereAndRefusesWhatIsThereTwice) {
  ASSERT_TRUE(table.resize(48));
  Prng prng{7};
  std::map<uint16_t, Command*> there;
  for (int i = 0; i < 20000; ++i) {
    const auto cid = uint16_t(prng.below(2) == 0 ? prng.below(64) : prng.below(8) * 0x1000);  // near each other, and far
    const auto known = there.find(cid);
    ASSERT_EQ(table.find(cid), known == there.end() ? nullptr : known->second);
    if (known != there.end() && prng.below(3) > 0) {
      table.free(*known->second);
      there.erase(known);
    } else if (Command* taken = table.take(sqe(cid)); taken == nullptr) {
      ASSERT_EQ(there.size(), 48u);
    } else if (taken->is_duplicate) {
      ASSERT_NE(known, there.end());
      table.free(*taken);
    } else {
      ASSERT_EQ(known, there.end());
      there[cid] = taken;
    }
    ASSERT_EQ(table.taken(), there.size());
  }
  for (const auto& [cid, command] : there) table.free(*command);
  EXPECT_EQ(pool.chunks_in_use(), 0u);
}

}  // namespace
}  // namespace weft::nvmf
