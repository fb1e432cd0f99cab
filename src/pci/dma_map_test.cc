#include "pci/dma_map.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft::pci {
namespace {

class DmaMapTest : public ::testing::Test {
 protected:
  DmaMapTest() {
    map_.add(part(8192, 4096), 0x70000);
    map_.add(part(0, 4096), 0x100000);
  }
  std::span<std::byte> part(size_t offset, size_t size) { return std::span(memory_).subspan(offset, size); }

  std::vector<std::byte> memory_ = std::vector<std::byte>(16384);
  DmaMap map_;
};

TEST_F(DmaMapTest, AnAddressIsABaseAndAnOffset) {
  EXPECT_EQ(map_.find(part(0, 1)), 0x100000u);
  EXPECT_EQ(map_.find(part(100, 3996)), 0x100064u);
  EXPECT_EQ(map_.find(part(8192 + 4, 8)), 0x70004u);
}

TEST_F(DmaMapTest, WhatDoesNotLieInOneRangeIsNotFound) {
  EXPECT_FALSE(map_.find(part(4096, 1)).has_value());
  EXPECT_FALSE(map_.find(part(4000, 200)).has_value());
  EXPECT_FALSE(map_.find(part(12287, 2)).has_value());
  EXPECT_FALSE(map_.find(std::as_bytes(std::span(&map_, 1))).has_value());
}

TEST_F(DmaMapTest, TheDevicesSideIsTheSameTheOtherWay) {
  EXPECT_EQ(map_.memory(0x100064, 8).data(), part(100, 8).data());
  EXPECT_EQ(map_.memory(0x70000, 4096).data(), part(8192, 1).data());
  EXPECT_TRUE(map_.memory(0x70001, 4096).empty());
  EXPECT_TRUE(map_.memory(0x6ffff, 1).empty());
}

TEST_F(DmaMapTest, WhatWasRemovedIsNotReached) {
  map_.remove(part(0, 4096));
  EXPECT_FALSE(map_.find(part(0, 1)).has_value());
  EXPECT_TRUE(map_.memory(0x100000, 1).empty());
  EXPECT_EQ(map_.find(part(8192, 1)), 0x70000u);
}

}  // namespace
}  // namespace weft::pci
