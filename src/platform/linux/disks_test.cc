// Opening real block devices: loop devices over files. Skipped where the machine has none to give.
#include "platform/linux/disks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "bdev/test_support.h"
#include "core/test_support.h"
#include "platform/linux/files.h"
#include "platform/linux/open_device.h"
#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

using namespace bdev::testing_support;

constexpr uint64_t kSize = 64 << 20;

class DisksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backing_ = directory_.path("backing");
    directory_.write("backing", "");
    ASSERT_EQ(::truncate(backing_.c_str(), kSize), 0);
    const UniqueFd control{::open("/dev/loop-control", O_RDWR | O_CLOEXEC)};
    const int number = control.is_open() ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
    if (number < 0) GTEST_SKIP() << "no loop devices here: " << std::strerror(errno);
    path_ = "/dev/loop" + std::to_string(number);
    loop_ = UniqueFd{::open(path_.c_str(), O_RDWR | O_CLOEXEC)};
    const UniqueFd file{::open(backing_.c_str(), O_RDWR | O_CLOEXEC)};
    if (!loop_.is_open() || ::ioctl(loop_.get(), LOOP_SET_FD, file.get()) != 0) {
      loop_.reset();
      GTEST_SKIP() << "cannot set up " << path_ << ": " << std::strerror(errno);
    }
  }
  void TearDown() override {
    if (loop_.is_open()) ::ioctl(loop_.get(), LOOP_CLR_FD, 0);
  }
  void put(uint64_t offset, std::string_view bytes) {
    const UniqueFd file{::open(path_.c_str(), O_WRONLY | O_CLOEXEC)};
    ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), off_t(offset)), ssize_t(bytes.size()));
    ASSERT_EQ(::fsync(file.get()), 0);
  }

  TemporaryDirectory directory_;
  std::string backing_;
  std::string path_;
  UniqueFd loop_;
};

TEST_F(DisksTest, AnEmptyDiskIsTakenWithItsOwnGeometry) {
  const auto opened = open_disk({.path = path_});
  ASSERT_TRUE(opened.has_value()) << opened.error().what();
  EXPECT_EQ(opened->facts.size_bytes, kSize);
  EXPECT_EQ(opened->facts.block_size, 512u);
  EXPECT_FALSE(opened->facts.is_read_only);
  EXPECT_EQ(opened->medium.kind, FileKind::kBlockDevice);
}

TEST_F(DisksTest, ADiskThatIsTakenIsTakenAlone) {
  const auto first = open_disk({.path = path_});
  ASSERT_TRUE(first.has_value());
  const auto second = open_disk({.path = path_, .force = true});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::kBusy);
}

TEST_F(DisksTest, KnownContentsWantForce) {
  put(0, "XFSB");
  const auto refused = open_disk({.path = path_});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::kExists);
  EXPECT_NE(refused.error().what().find("XFS"), std::string_view::npos);
  EXPECT_NE(refused.error().what().find("force=true"), std::string_view::npos);
  EXPECT_TRUE(open_disk({.path = path_, .force = true}).has_value());
}

TEST_F(DisksTest, AFileUnderALoopDeviceIsRefused) {
  const auto opened = open_file({.path = backing_});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::kBusy);
  EXPECT_NE(opened.error().what().find(path_), std::string_view::npos) << opened.error().what();
}

TEST_F(DisksTest, PathsOfTheOtherKindAreRefused) {
  EXPECT_FALSE(open_disk({.path = backing_}).has_value());
  EXPECT_FALSE(open_file({.path = path_}).has_value());
}

/// What the conformance suite asks of files, in short, of a disk through both engines; then the disk goes away.
TEST_F(DisksTest, ADiskDoesAllOperationsAndFailsByThePathWhenItIsGone) {
  for (const auto choice : {MediaChoice::kThreads, MediaChoice::kUringIfPossible}) {
    testing_support::ManualClock clock;
    testing_support::NullSink sink;
    testing_support::HeapMemory memory;
    Log log{sink};
    Reactor reactor{{}, clock, sink};
    EventLoop* const loops[] = {nullptr};
    MediaEngine engine{choice, loops, log};
    NvmeEngine no_nvme{{}, memory, {}, log};
    const DeviceRequest request{.kind = DeviceKind::kDisk, .name = path_, .path = path_, .force = true};
    auto device = open_device(request, {engine, no_nvme, memory, log});
    ASSERT_TRUE(device.has_value()) << device.error().what();
    auto channel = std::move((*device)->open_channel(reactor).value());
    AlignedBytes data{8 * 512, 4}, back{8 * 512};
    stamp(data.bytes(), 16, 512, 1);
    EXPECT_TRUE(execute(reactor, *channel, bdev::Op::kWrite, 16, 8, data.bytes()).ok());
    EXPECT_TRUE(execute(reactor, *channel, bdev::Op::kFlush, 0, 0).ok());
    EXPECT_TRUE(execute(reactor, *channel, bdev::Op::kRead, 16, 8, back.bytes()).ok());
    EXPECT_TRUE(is_stamped(back.bytes(), 16, 512, 1));
    EXPECT_TRUE(execute(reactor, *channel, bdev::Op::kDeallocate, 1000, 1000).ok());
    for (const auto zeroing : {bdev::Zeroing::kKeepAllocated, bdev::Zeroing::kMayDeallocate}) {
      EXPECT_TRUE(execute(reactor, *channel, bdev::Op::kWrite, 16, 8, data.bytes()).ok());
      TestIo zeroes{bdev::Op::kWriteZeroes, 16, 8, {}};
      zeroes.zeroing = zeroing;
      zeroes.durability = bdev::Durability::kStable;
      EXPECT_TRUE(execute(reactor, *channel, zeroes).ok());
      EXPECT_TRUE(execute(reactor, *channel, bdev::Op::kRead, 16, 8, back.bytes()).ok());
      EXPECT_TRUE(is_zero(back.bytes()));
    }
    ASSERT_EQ(::truncate(backing_.c_str(), 0), 0);
    ASSERT_EQ(::ioctl(loop_.get(), LOOP_SET_CAPACITY, 0), 0);
    EXPECT_EQ(execute(reactor, *channel, bdev::Op::kRead, 16, 8, back.bytes()), nvme::status::kInternalPathError);
    EXPECT_EQ(execute(reactor, *channel, bdev::Op::kWrite, 16, 8, data.bytes()), nvme::status::kInternalPathError);
    ASSERT_EQ(::truncate(backing_.c_str(), kSize), 0);
    ASSERT_EQ(::ioctl(loop_.get(), LOOP_SET_CAPACITY, 0), 0);
  }
}

}  // namespace
}  // namespace weft::platform
