#include "platform/linux/proc_tables.h"

#include <gtest/gtest.h>

namespace weft::platform {
namespace {

TEST(ProcTables, MountinfoGivesDeviceMountPointAndSource) {
  const auto mounts = parse_mountinfo(
      "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
      "36 22 0:31 /sub /srv/with\\040space rw shared:5 master:2 - btrfs /dev/sdb rw,ssd\n"
      "40 22 0:5 / /proc rw - proc proc rw\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[0].device, (DeviceNumber{259, 2}));
  EXPECT_EQ(mounts[0].point, "/");
  EXPECT_EQ(mounts[0].source, "/dev/nvme0n1p2");
  EXPECT_EQ(mounts[1].point, "/srv/with space");
  EXPECT_EQ(mounts[1].source, "/dev/sdb");
}

TEST(ProcTables, MountinfoLinesThatAreBrokenAreLeftOut) {
  EXPECT_TRUE(parse_mountinfo("").empty());
  EXPECT_TRUE(parse_mountinfo("22 1 nonsense / / rw - ext4 /dev/a rw\n22 1 8:1 / / rw\n\n22 1 8:1 / / rw shared:1 ext4 /dev/a rw x\n").empty());
}

TEST(ProcTables, SwapsGivesPathsWithoutTheHeading) {
  const auto swaps = parse_swaps(
      "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
      "/dev/sda3                               partition\t2097148\t\t0\t\t-2\n"
      "/swap\\040file                          file\t\t1024\t0\t-3\n");
  EXPECT_EQ(swaps, (std::vector<std::string>{"/dev/sda3", "/swap file"}));
}

TEST(ProcTables, LocksGiveTheHolderOfAnFlock) {
  constexpr std::string_view kLocks =
      "1: POSIX  ADVISORY  WRITE 100 fe:00:4711 0 EOF\n"
      "2: OFDLCK ADVISORY  WRITE -1 fe:00:4711 0 EOF\n"
      "3: FLOCK  ADVISORY  WRITE 200 fe:00:4711 0 EOF\n"
      "3: -> FLOCK  ADVISORY  WRITE 300 fe:00:4711 0 EOF\n"
      "4: FLOCK  ADVISORY  WRITE 0 fe:00:9 0 EOF\n";
  EXPECT_EQ(find_lock_holder(kLocks, {{0xfe, 0}, 4711}), 200);
  EXPECT_EQ(find_lock_holder(kLocks, {{0xfe, 1}, 4711}), std::nullopt);
  EXPECT_EQ(find_lock_holder(kLocks, {{0xfe, 0}, 9}), std::nullopt);  // a holder in another pid namespace
}

}  // namespace
}  // namespace weft::platform
