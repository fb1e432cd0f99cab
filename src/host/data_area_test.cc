#include "host/data_area.h"

#include <gtest/gtest.h>

#include "core/test_support.h"

namespace weft::host {
namespace {

constexpr size_t kBytes = 4096;

class DataAreaTest : public ::testing::Test {
 protected:
  testing_support::HeapMemory memory_;
  DataArea area_{std::move(*memory_.map(kBytes, "area"))};
};

TEST_F(DataAreaTest, PiecesDoNotOverlapAndEndWithTheArea) {
  const auto first = area_.try_take(100);
  const auto second = area_.try_take(kBytes - 128);
  ASSERT_EQ(first.size(), 100u);
  ASSERT_EQ(second.size(), kBytes - 128);
  EXPECT_EQ(second.data(), first.data() + 128);
  EXPECT_TRUE(area_.try_take(1).empty());
}

TEST_F(DataAreaTest, NeighboursJoinInEveryOrderOfGivingBack) {
  const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    std::span<std::byte> pieces[3];
    for (auto& piece : pieces) piece = area_.try_take(1000);
    for (const size_t i : order) area_.give_back(pieces[i]);
    const auto all = area_.try_take(kBytes);
    ASSERT_EQ(all.size(), kBytes);
    area_.give_back(all);
  }
}

TEST_F(DataAreaTest, KnowsItsOwnBytes) {
  const auto all = area_.memory();
  EXPECT_TRUE(area_.contains(all));
  EXPECT_FALSE(area_.contains({all.data() + 1, all.size()}));
  const std::byte elsewhere[4]{};
  EXPECT_FALSE(area_.contains(elsewhere));
}

}  // namespace
}  // namespace weft::host
