// A process on paper: its page tables are files.
#include "platform/linux/physical_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "platform/linux/temporary_directory.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kPage = 4096, kHugePage = 2 << 20;
constexpr uint64_t kHugetlb = 1 << 17;

class PhysicalMemoryTest : public ::testing::Test {
 protected:
  PhysicalMemoryTest() {
    directory_.write("proc/self/pagemap", "");
    directory_.write("proc/kpageflags", "");
  }
  static std::byte* at(uint64_t address) { return reinterpret_cast<std::byte*>(address); }
  void put(const std::string& file, uint64_t index, uint64_t word) {
    const UniqueFd fd{::open(directory_.path("proc/" + file).c_str(), O_WRONLY)};
    ASSERT_EQ(::pwrite(fd.get(), &word, sizeof word, off_t(index * sizeof word)), ssize_t(sizeof word));
  }
  /// The page at `address` is in `frame`.
  void place(uint64_t address, uint64_t frame, uint64_t flags = kHugetlb) {
    put("self/pagemap", address / kPage, uint64_t{1} << 63 | frame);
    put("kpageflags", frame, flags);
  }
  auto ranges(uint64_t address, size_t size) {
    return physical_ranges({.proc = directory_.path("proc"), .sys = "", .dev = ""}, {at(address), size}, "a pool");
  }

  TemporaryDirectory directory_;
};

TEST_F(PhysicalMemoryTest, PagesThatFollowEachOtherAreOneRange) {
  const uint64_t base = 16 * kHugePage;
  place(base, 512 * 7);
  place(base + kHugePage, 512 * 8);
  place(base + 2 * kHugePage, 512 * 3);
  const auto found = ranges(base, 3 * kHugePage);
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].iova, 7 * kHugePage);
  EXPECT_EQ((*found)[0].bytes.size(), 2 * kHugePage);
  EXPECT_EQ((*found)[1].iova, 3 * kHugePage);
  EXPECT_EQ((*found)[1].bytes.data(), at(base + 2 * kHugePage));
  EXPECT_EQ((*found)[1].bytes.size(), kHugePage);
}

TEST_F(PhysicalMemoryTest, ItBeginsAndEndsAnywhereInAPage) {
  const uint64_t base = 16 * kHugePage;
  place(base + kHugePage - kPage, 512 * 7 + 511);
  place(base + kHugePage, 512 * 4);
  const auto found = ranges(base + kHugePage - kPage, 2 * kPage);
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].iova, 8 * kHugePage - kPage);
  EXPECT_EQ((*found)[0].bytes.size(), kPage);
  EXPECT_EQ((*found)[1].iova, 4 * kHugePage);
  EXPECT_EQ((*found)[1].bytes.size(), kPage);
}

TEST_F(PhysicalMemoryTest, MemoryThatTheKernelMayMoveIsRefused) {
  place(16 * kHugePage, 512 * 7, 0);
  const auto found = ranges(16 * kHugePage, kHugePage);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, Errc::kLimit);
  EXPECT_THAT(std::string{found.error().what()}, HasSubstr("no reserved huge pages are left for a pool"));
  EXPECT_THAT(std::string{found.error().what()}, HasSubstr("vm.nr_hugepages"));
}

TEST_F(PhysicalMemoryTest, WhoIsNotRootIsToldSo) {
  place(16 * kHugePage, 0);  // as the kernel shows it to others
  EXPECT_EQ(ranges(16 * kHugePage, kHugePage).error().code, Errc::kDenied);
  place(16 * kHugePage, 512);
  std::filesystem::remove(directory_.path("proc/kpageflags"));
  EXPECT_EQ(ranges(16 * kHugePage, kHugePage).error().code, Errc::kDenied);
}

}  // namespace
}  // namespace weft::platform
