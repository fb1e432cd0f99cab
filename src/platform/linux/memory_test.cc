#include "platform/linux/memory.h"

#include <gtest/gtest.h>

namespace weft::platform {
namespace {

TEST(MmapMemory, GivesZeroedAlignedMemoryOfAnySize) {
  for (const auto huge_pages : {HugePages::kTransparent, HugePages::kReserved}) {
    MmapMemory memory{huge_pages};
    for (const size_t size : {size_t{1}, size_t{4096}, size_t{10000}, size_t{2} << 20, (size_t{5} << 20) + 1}) {
      const auto region = memory.map(size, "test");
      ASSERT_TRUE(region.has_value());
      const auto bytes = region->bytes();
      EXPECT_GE(bytes.size(), size);
      const size_t alignment = size < size_t{2} << 20 ? 4096 : 2 << 20;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % alignment, 0u);
      EXPECT_EQ(bytes.front(), std::byte{0});
      EXPECT_EQ(bytes.back(), std::byte{0});
      bytes.back() = std::byte{1};
    }
  }
}

TEST(MmapMemory, MoreThanTheMachineHasMayBeMappedWhileItIsNotTouched) {
  MmapMemory memory{HugePages::kTransparent};
  EXPECT_TRUE(memory.map(size_t{1} << 40, "a sparse disk").has_value());
}

TEST(MmapMemory, WhatCannotBeMappedIsALimitThatIsNamed) {
  MmapMemory memory{HugePages::kTransparent};
  for (const size_t size : {size_t{1} << 62, SIZE_MAX}) {
    const auto region = memory.map(size, "ram:4EiB");
    ASSERT_FALSE(region.has_value());
    EXPECT_EQ(region.error().code, Errc::kLimit);
    EXPECT_NE(region.error().what().find("ram:4EiB"), std::string_view::npos);
  }
}

TEST(MmapMemory, SaysWhatItGotAndWhatCameBack) {
  MmapMemory memory{HugePages::kTransparent};
  EXPECT_EQ(memory.describe(), "nothing");
  { const auto region = memory.map(8192, "test"); }
  EXPECT_EQ(memory.describe(), "8 KiB in 4 KiB pages; 8 KiB given back");
}

}  // namespace
}  // namespace weft::platform
