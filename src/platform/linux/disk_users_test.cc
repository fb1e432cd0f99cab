#include "platform/linux/disk_users.h"

#include <gtest/gtest.h>

#include "platform/linux/disks.h"
#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

/// A machine on paper: sdb with the partitions sdb1 and sdb2, and sdc without.
class DiskUsersTest : public ::testing::Test {
 protected:
  DiskUsersTest() {
    add_disk("sdb", "8:16");
    add_partition("sdb", "sdb1", "8:17", "1");
    add_partition("sdb", "sdb2", "8:18", "2");
    add_disk("sdc", "8:32");
    directory_.write("proc/self/mountinfo", "22 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n");
    directory_.write("proc/swaps", "Filename Type Size Used Priority\n");
    root_ = {.proc = directory_.path("proc"), .sys = directory_.path("sys")};
  }
  void add_disk(const std::string& name, const std::string& number) { add("devices/" + name, name, number); }
  void add_partition(const std::string& disk, const std::string& name, const std::string& number, const std::string& index) {
    add("devices/" + disk + "/" + name, name, number);
    directory_.write("sys/devices/" + disk + "/" + name + "/partition", index + "\n");
  }
  void add(const std::string& place, const std::string& name, const std::string& number) {
    directory_.write("sys/" + place + "/dev", number + "\n");
    directory_.write("sys/" + place + "/uevent", "MAJOR=8\nDEVNAME=" + name + "\nDEVTYPE=disk\n");
    std::filesystem::create_directories(directory_.path("sys/dev/block"));
    std::filesystem::create_directories(directory_.path("sys/" + place + "/holders"));
    std::filesystem::create_symlink("../../" + place, directory_.path("sys/dev/block/" + number));
  }

  TemporaryDirectory directory_;
  SystemRoot root_;
  static constexpr DeviceNumber kSdb{8, 16}, kSdb1{8, 17}, kSdc{8, 32};
};

TEST_F(DiskUsersTest, ADiskThatNobodyUsesHasNoUser) {
  EXPECT_EQ(find_disk_user(root_, kSdb), std::nullopt);
  EXPECT_EQ(find_disk_user(root_, kSdb1), std::nullopt);
  EXPECT_EQ(find_disk_user(root_, kSdc), std::nullopt);
}

TEST_F(DiskUsersTest, AMountedDiskSaysWhere) {
  directory_.write("proc/self/mountinfo", "22 1 8:32 / /srv/data rw - xfs /dev/sdc rw\n");
  EXPECT_EQ(find_disk_user(root_, kSdc), "mounted on /srv/data");
}

TEST_F(DiskUsersTest, AMountThatNamesTheDiskOnlyAsItsSourceIsFound) {
  directory_.write("proc/self/mountinfo", "22 1 0:41 / /srv rw - btrfs /dev/sdc rw\n");
  EXPECT_EQ(find_disk_user(root_, kSdc), "mounted on /srv");
}

TEST_F(DiskUsersTest, AMountedPartitionIsInTheWayOfItsDisk) {
  directory_.write("proc/self/mountinfo", "22 1 8:18 / /boot rw - ext4 /dev/sdb2 rw\n");
  EXPECT_EQ(find_disk_user(root_, kSdb), "its partition sdb2 is mounted on /boot");
  EXPECT_EQ(find_disk_user(root_, kSdb1), std::nullopt);
}

TEST_F(DiskUsersTest, AUserOfTheWholeDiskIsInTheWayOfAPartition) {
  directory_.write("sys/devices/sdb/holders/md0", "");
  EXPECT_EQ(find_disk_user(root_, kSdb1), "the disk sdb it is on is held by md0");
}

TEST_F(DiskUsersTest, SwapIsFound) {
  directory_.write("proc/swaps", "Filename Type Size Used Priority\n/dev/sdb1 partition 1 0 -2\n");
  EXPECT_EQ(find_disk_user(root_, kSdb1), "used as swap");
  EXPECT_EQ(find_disk_user(root_, kSdb), "its partition sdb1 is used as swap");
}

TEST_F(DiskUsersTest, AHolderIsNamedAsItsMakerNamesIt) {
  directory_.write("sys/devices/sdc/holders/dm-3", "");
  directory_.write("sys/block/dm-3/dm/name", "vg-data\n");
  EXPECT_EQ(find_disk_user(root_, kSdc), "held by dm-3 (vg-data)");
}

TEST_F(DiskUsersTest, ADiskIsDescribedByItsDriver) {
  directory_.write("sys/devices/sdb/device/wwid", "naa.5000c500a1b2c3d4\n");
  directory_.write("sys/devices/sdb/queue/write_cache", "write through\n");
  directory_.write("sys/devices/sdb/queue/discard_max_bytes", "2147450880\n");
  directory_.write("sys/devices/sdb/queue/optimal_io_size", "65536\n");
  const auto disk = describe_disk(root_, kSdb);
  EXPECT_EQ(disk.id, "naa.5000c500a1b2c3d4");
  EXPECT_FALSE(disk.has_volatile_cache);
  EXPECT_TRUE(disk.can_discard);
  EXPECT_EQ(disk.preferred_bytes, 65536u);
  EXPECT_EQ(describe_disk(root_, kSdb1).id, "naa.5000c500a1b2c3d4-part1");
  EXPECT_EQ(describe_disk(root_, kSdc).id, "");
  EXPECT_TRUE(describe_disk(root_, kSdc).has_volatile_cache);
}

}  // namespace
}  // namespace weft::platform
