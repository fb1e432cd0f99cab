#include "nvmf/error_log.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "nvmf/log_pages.h"

namespace weft::nvmf {
namespace {

nvme::ErrorLogEntry entry_of(uint16_t cid) {
  nvme::ErrorLogEntry entry{};
  entry.cid = cid;
  return entry;
}

TEST(ErrorLog, ReturnsTheNewestFirstAndCountsFromOne) {
  ErrorLog log(4);
  log.add(entry_of(10));
  log.add(entry_of(11));
  EXPECT_EQ(uint32_t{log.newest(0).cid}, 11u);
  EXPECT_EQ(uint64_t{log.newest(0).error_count}, 2u);
  EXPECT_EQ(uint32_t{log.newest(1).cid}, 10u);
  EXPECT_EQ(uint64_t{log.newest(1).error_count}, 1u);
}

TEST(ErrorLog, IsZeroWhereNothingWasAdded) {
  ErrorLog log(4);
  log.add(entry_of(10));
  EXPECT_EQ(uint64_t{log.newest(1).error_count}, 0u);
  EXPECT_EQ(uint64_t{log.newest(4).error_count}, 0u);
}

TEST(ErrorLog, OverwritesTheOldestAndKeepsCounting) {
  ErrorLog log(3);
  for (uint16_t cid = 1; cid <= 8; ++cid) log.add(entry_of(cid));
  EXPECT_EQ(log.count(), 8u);
  EXPECT_EQ(uint32_t{log.newest(0).cid}, 8u);
  EXPECT_EQ(uint32_t{log.newest(2).cid}, 6u);
  EXPECT_EQ(uint64_t{log.newest(2).error_count}, 6u);
  EXPECT_EQ(uint64_t{log.newest(3).error_count}, 0u);
}

TEST(ErrorLog, PageHasRoomForItsCapacity) {
  ErrorLog log(3);
  log.add(entry_of(9));
  const auto page = error_page(log);
  ASSERT_EQ(page.size(), 3 * sizeof(nvme::ErrorLogEntry));
  EXPECT_EQ(uint32_t{view<nvme::ErrorLogEntry>(page)->cid}, 9u);
  EXPECT_EQ(uint64_t{view<nvme::ErrorLogEntry>(std::span(page).subspan(64))->error_count}, 0u);
}

}  // namespace
}  // namespace weft::nvmf
