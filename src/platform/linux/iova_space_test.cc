#include "platform/linux/iova_space.h"

#include <gtest/gtest.h>

namespace weft::platform {
namespace {

constexpr uint64_t kMiB = 1 << 20, kPage = IovaSpace::kPage;

TEST(IovaSpace, TakesFromTheBottomAndSparesTheFirstMegabytes) {
  IovaSpace space({{0, 16 * kMiB - 1}});
  EXPECT_EQ(space.take(kPage, kPage), 2 * kMiB);
  EXPECT_EQ(space.take(kPage, kPage), 2 * kMiB + kPage);
}

TEST(IovaSpace, AlignsAndUsesTheGap) {
  IovaSpace space({{0, 16 * kMiB - 1}});
  EXPECT_EQ(space.take(kPage, kPage), 2 * kMiB);
  EXPECT_EQ(space.take(2 * kMiB, 2 * kMiB), 4 * kMiB);
  EXPECT_EQ(space.take(kPage, kPage), 2 * kMiB + kPage);
}

TEST(IovaSpace, ReservedRangesAreNotCrossed) {
  IovaSpace space({{0, 3 * kMiB - 1}, {4 * kMiB, 5 * kMiB - 1}});
  EXPECT_EQ(space.take(kMiB, kPage), 2 * kMiB);
  EXPECT_EQ(space.take(kMiB, kPage), 4 * kMiB);
  EXPECT_EQ(space.take(kPage, kPage), std::nullopt);
}

TEST(IovaSpace, WhatIsGivenBackIsWholeAgain) {
  IovaSpace space({{0, 5 * kMiB - 1}});
  const uint64_t first = *space.take(kMiB, kPage), second = *space.take(kMiB, kPage), third = *space.take(kMiB, kPage);
  EXPECT_EQ(space.take(kPage, kPage), std::nullopt);
  space.give_back(first, kMiB);
  space.give_back(third, kMiB);
  EXPECT_EQ(space.take(2 * kMiB, kPage), std::nullopt);
  space.give_back(second, kMiB);
  EXPECT_EQ(space.take(3 * kMiB, kPage), 2 * kMiB);
}

TEST(IovaSpace, TheEndOfTheAddressesIsNoWrapAround) {
  IovaSpace space({{UINT64_MAX - 3 * kPage + 1, UINT64_MAX}});
  EXPECT_EQ(space.take(2 * kPage, kPage), UINT64_MAX - 3 * kPage + 1);
  EXPECT_EQ(space.take(kPage, kPage), std::nullopt);
}

}  // namespace
}  // namespace weft::platform
