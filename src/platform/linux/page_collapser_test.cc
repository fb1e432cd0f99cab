#include "platform/linux/page_collapser.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "platform/linux/event_loop.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

constexpr size_t kHugePage = PageCollapser::kHugePage;
constexpr size_t kPage = 4096;

/// Memory in small pages, until it is made otherwise.
class PageCollapserTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string enabled = read_word("/sys/kernel/mm/transparent_hugepage/enabled");
    if (enabled.empty() || enabled.find("[never]") != std::string::npos) GTEST_SKIP() << "no transparent huge pages on this machine: " << enabled;
    if (enabled.find("[always]") != std::string::npos) GTEST_SKIP() << "this machine gives huge pages to whoever touches memory first";
    void* mapped = ::mmap(nullptr, kSize + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    mapped_ = static_cast<std::byte*>(mapped);
    memory_ = {mapped_ + (kHugePage - reinterpret_cast<uintptr_t>(mapped_) % kHugePage) % kHugePage, kSize};
    touch(0, kHugePage / kPage);
    if (::madvise(memory_.data(), kHugePage, MADV_COLLAPSE) != 0) GTEST_SKIP() << "this kernel does not collapse pages: Linux 6.1 does";
    collapser_.add(memory_);
    is_added_ = true;
  }
  void TearDown() override {
    if (is_added_) collapser_.remove(memory_);
    if (mapped_ != nullptr) ::munmap(mapped_, kSize + kHugePage);
  }
  void touch(size_t first, size_t count) {
    for (size_t page = first; page < first + count; ++page) memory_[page * kPage + page % kPage] = std::byte(page % 251 + 1);
  }
  bool is_as_touched(size_t first, size_t count) const {
    for (size_t page = first; page < first + count; ++page) {
      if (memory_[page * kPage + page % kPage] != std::byte(page % 251 + 1)) return false;
    }
    return true;
  }

  static constexpr size_t kSize = 4 * kHugePage;
  static constexpr size_t kPages = kHugePage / kPage;  // in a huge page
  PageCollapser collapser_;
  std::span<std::byte> memory_;

 private:
  std::byte* mapped_ = nullptr;
  bool is_added_ = false;
};

TEST_F(PageCollapserTest, MakesHugePagesOfWhatIsThereAsAWholeAndOfNothingElse) {
  touch(kPages, kPages);
  touch(2 * kPages, kPages - 1);  // one page short
  collapser_.look();
  EXPECT_EQ(collapser_.bytes_collapsed(), 2 * kHugePage);
  EXPECT_TRUE(is_as_touched(0, 3 * kPages - 1));
  EXPECT_EQ(memory_[(3 * kPages - 1) * kPage], std::byte{0});
  EXPECT_TRUE(std::ranges::all_of(memory_.last(kHugePage), [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST_F(PageCollapserTest, LooksAgainAtWhatWasNotThereAsAWhole) {
  touch(kPages, kPages - 1);
  collapser_.look();
  EXPECT_EQ(collapser_.bytes_collapsed(), kHugePage);
  touch(2 * kPages - 1, 1);
  collapser_.look();
  EXPECT_EQ(collapser_.bytes_collapsed(), 2 * kHugePage);
  EXPECT_TRUE(is_as_touched(0, 2 * kPages));
}

TEST_F(PageCollapserTest, ItsThreadSeesThatMemoryHasGrown) {
  touch(kPages, 3 * kPages);
  const auto loop = std::move(*EventLoop::create());
  for (const Instant limit = loop->now() + seconds(10); collapser_.bytes_collapsed() < kSize && loop->now() < limit;) {
    loop->wait(loop->now() + milliseconds(10));
  }
  EXPECT_EQ(collapser_.bytes_collapsed(), kSize);
  EXPECT_TRUE(is_as_touched(0, 4 * kPages));
}

TEST_F(PageCollapserTest, WhatIsRemovedIsLookedAtNoMore) {
  collapser_.remove(memory_);
  touch(kPages, kPages);
  collapser_.look();
  EXPECT_EQ(collapser_.bytes_collapsed(), 0u);
  collapser_.add(memory_);
}

}  // namespace
}  // namespace weft::platform
