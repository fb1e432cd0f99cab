#include "platform/linux/memory_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace weft::platform {
namespace {

/// Without the right to lock whatever it likes, and with a limit. Both come back, for the tests that follow in this process.
class MemoryLock : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::syscall(SYS_capget, &header_, rights_.data()), 0);
    auto without = rights_;
    without[0].effective &= ~(1u << CAP_IPC_LOCK);
    ASSERT_EQ(::syscall(SYS_capset, &header_, without.data()), 0);
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &before_), 0);
    const rlimit limit{64 << 10, before_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  }
  void TearDown() override {
    EXPECT_EQ(::setrlimit(RLIMIT_MEMLOCK, &before_), 0);
    EXPECT_EQ(::syscall(SYS_capset, &header_, rights_.data()), 0);
  }

 private:
  __user_cap_header_struct header_{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> rights_{};
  rlimit before_{};
};

TEST_F(MemoryLock, AllowsWhatTheLimitAllows) { EXPECT_TRUE(check_memory_lock("RDMA", 32 << 10, 32 << 10)); }

TEST_F(MemoryLock, SaysTheNumbersAndTheCure) {
  const auto allowed = check_memory_lock("RDMA", 48 << 10, 32 << 10);
  ASSERT_FALSE(allowed);
  EXPECT_EQ(allowed.error().code, Errc::kLimit);
  EXPECT_THAT(allowed.error().what(), ::testing::HasSubstr("48 KiB of locked memory beside 32 KiB locked already, but the limit is 64 KiB: LimitMEMLOCK"));
}

}  // namespace
}  // namespace weft::platform
