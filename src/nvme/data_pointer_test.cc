#include "nvme/data_pointer.h"

#include <gtest/gtest.h>

#include <array>

namespace weft::nvme {
namespace {

class DataPointerTest : public ::testing::Test {
 protected:
  Prps prps(uint64_t iova, uint64_t length) {
    entries_.fill(kUntouched);
    return prps_for(iova, length, list_);
  }
  /// How many entries of the list were filled, which all follow each other from the page after `iova`.
  size_t listed(uint64_t iova) const {
    size_t count = 0;
    for (; count < entries_.size() && entries_[count] != kUntouched; ++count) {
      EXPECT_EQ(uint64_t{entries_[count]}, iova / kPageBytes * kPageBytes + (count + 1) * kPageBytes);
    }
    return count;
  }

  static constexpr uint64_t kUntouched = 0xdeadbeef;
  static constexpr uint64_t kList = 0x99000;
  std::array<le64, kPrpsOfAPage> entries_{};
  PrpList list_{entries_, kList};
};

struct Case {
  const char* name;
  uint64_t iova;
  uint64_t length;
  uint64_t prp2;  // kList: a list
  size_t listed;
};

TEST_F(DataPointerTest, Prp2IsNothingAPageOrAList) {
  constexpr uint64_t kPage = kPageBytes;
  const Case cases[] = {
      {"less than a page", 0x10000, 512, 0, 0},
      {"one page", 0x10000, kPage, 0, 0},
      {"to the end of a page", 0x10e00, 512, 0, 0},
      {"one block over the end of a page", 0x10e00, 1024, 0x11000, 0},
      {"two pages", 0x10000, 2 * kPage, 0x11000, 0},
      {"three pages", 0x10000, 2 * kPage + 512, kList, 2},
      {"two pages' worth that touch three", 0x10200, 2 * kPage, kList, 2},
      {"dword aligned", 0x10004, 2 * kPage, kList, 2},
      {"a full list", 0x10000, 513 * kPage, kList, 512},
      {"a full list from the middle of a page", 0x10800, 513 * kPage - 0x800, kList, 512},
  };
  for (const Case& each : cases) {
    const Prps prps = this->prps(each.iova, each.length);
    EXPECT_EQ(uint64_t{prps.prp1}, each.iova) << each.name;
    EXPECT_EQ(uint64_t{prps.prp2}, each.prp2) << each.name;
    EXPECT_EQ(listed(each.iova), each.listed) << each.name;
  }
}

TEST_F(DataPointerTest, ACommandCarriesUpToTheEndOfItsList) {
  EXPECT_EQ(prp_bytes_max(0x10000), 513u * 4096);
  EXPECT_EQ(prp_bytes_max(0x10ffc), 512u * 4096 + 4);
}

TEST_F(DataPointerTest, ADescriptorReplacesAListAndNothingElse) {
  Sqe sqe{};
  set_data(sqe, 0x10000, 8192, list_, DataPointers::kSgls);
  EXPECT_EQ(sqe.psdt(), Psdt::kPrp);
  EXPECT_EQ(uint64_t{prps_of(sqe).prp2}, 0x11000u);
  set_data(sqe, 0x10200, 8192, list_, DataPointers::kSgls);
  EXPECT_EQ(sqe.psdt(), Psdt::kSglContiguousMetadata);
  EXPECT_EQ(sqe.sgl.type, kSglDataBlock);
  EXPECT_EQ(uint64_t{sqe.sgl.address}, 0x10200u);
  EXPECT_EQ(uint32_t{sqe.sgl.length}, 8192u);
  sqe = {};
  set_data(sqe, 0x10200, 8192, list_, DataPointers::kPrps);
  EXPECT_EQ(sqe.psdt(), Psdt::kPrp);
  EXPECT_EQ(uint64_t{prps_of(sqe).prp2}, kList);
}

}  // namespace
}  // namespace weft::nvme
