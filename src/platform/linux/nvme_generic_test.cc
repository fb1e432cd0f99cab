// NVMe namespaces by their character devices, on a machine on paper; and character devices that are none, on this one.
#include "platform/linux/nvme_generic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr DeviceNumber kNode{.major = 235, .minor = 0};

/// /dev/ng0n1, with nvme0n1 beside it.
class NvmeGenericTest : public ::testing::Test {
 protected:
  NvmeGenericTest() {
    write("ng0n1/dev", "235:0\n");
    write("nvme0n1/dev", "259:4\n");
    write("nvme0n1/queue/max_hw_sectors_kb", "1024\n");
    write("nvme0n1/queue/max_segments", "127\n");
    write("nvme0n1/queue/dma_alignment", "3\n");
    write("nvme0n1/queue/zoned", "none\n");
    write("nvme0n1/wwid", "uuid.00112233-4455-6677-8899-aabbccddeeff\n");
    fs::create_directories(sys("class/nvme-generic"));
    fs::create_symlink(sys("class/nvme-generic"), sys(kController + "ng0n1/subsystem"));
    fs::create_directories(sys("dev/char"));
    fs::create_symlink(sys(kController + "ng0n1"), sys("dev/char/235:0"));
  }
  std::string sys(const std::string& name) { return directory_.path("sys/" + name); }
  void write(const std::string& name, const std::string& text) { directory_.write("sys/" + kController + name, text); }
  Result<NvmeGenericPlace> find(DeviceNumber number = kNode) { return find_nvme_generic({.sys = directory_.path("sys")}, number); }

  const std::string kController = "devices/nvme/nvme0/";
  TemporaryDirectory directory_;
};

TEST_F(NvmeGenericTest, TheBlockDeviceBesideItSaysWhatTheKernelTakes) {
  const auto place = find();
  ASSERT_TRUE(place.has_value()) << place.error().what();
  EXPECT_EQ(place->disk, "nvme0n1");
  EXPECT_EQ(place->disk_number, (DeviceNumber{259, 4}));
  EXPECT_EQ(place->transfer_bytes_max, 126u * 4096);  // as many pages as there are segments, but one
  EXPECT_EQ(place->memory_alignment, 4u);
  EXPECT_EQ(place->uuid, (std::array<uint8_t, 16>{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}));
}

TEST_F(NvmeGenericTest, OtherNamesAreNoUuid) {
  write("nvme0n1/wwid", "eui.0011223344556677\n");
  EXPECT_EQ(find().value().uuid, (std::array<uint8_t, 16>{}));
}

TEST_F(NvmeGenericTest, TheSmallerLimitCounts) {
  write("nvme0n1/queue/max_hw_sectors_kb", "128\n");
  EXPECT_EQ(find().value().transfer_bytes_max, 128u << 10);
}

TEST_F(NvmeGenericTest, WhatCannotBeHeldOrIsNoNamespaceIsRefused) {
  write("nvme0n1/queue/zoned", "host-managed\n");
  EXPECT_THAT(find().error().what(), HasSubstr("zoned"));
  fs::remove_all(sys(kController + "nvme0n1"));
  EXPECT_THAT(find().error().what(), HasSubstr("no block device nvme0n1"));
  EXPECT_EQ(find({235, 1}).error().code, Errc::kInvalid);
}

TEST_F(NvmeGenericTest, CommandsAreWholeBlocksWithinEveryLimit) {
  const nvme::NamespaceFacts ns{.block_size = 4096};
  NvmeGenericPlace place{.disk = {}, .disk_number = {}, .transfer_bytes_max = 126 * 4096};
  nvme::ControllerFacts controller{};
  controller.transfer_bytes_max = 2 << 20;
  controller.zeroes_bytes_max = uint64_t{1} << 40;
  controller.deallocate_blocks_max = 10;
  controller.has_write_zeroes = true;
  media::Lengths lengths = lengths_of(place, controller, ns);
  EXPECT_EQ(lengths.transfer, 126u * 4096);
  EXPECT_EQ(lengths.zero, 65536u * 4096);  // what NLB can say
  EXPECT_EQ(lengths.discard, 10u * 4096);
  controller.transfer_bytes_max = 16 << 10;
  controller.zeroes_bytes_max = (64 << 10) + 1;
  nvme::NamespaceFacts zeroing = ns;
  zeroing.reads_zeroes_after_zeroing = true;
  lengths = lengths_of(place, controller, zeroing);
  EXPECT_EQ(lengths.transfer, 16u << 10);
  EXPECT_EQ(lengths.zero, 64u << 10);
  EXPECT_EQ(lengths.discard, lengths.zero);  // which it is made of
  controller.has_write_zeroes = false;
  EXPECT_EQ(lengths_of(place, controller, zeroing).zero, 0u);
}

TEST(NvmeGeneric, AnotherCharacterDeviceIsRefusedWithWords) {
  EXPECT_TRUE(is_character_device("/dev/null"));
  EXPECT_FALSE(is_character_device("/"));
  const auto opened = open_nvme_generic({.name = "/dev/null", .path = "/dev/null"});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::kInvalid);
  EXPECT_THAT(opened.error().what(), HasSubstr("/dev/ng0n1"));
}

}  // namespace
}  // namespace weft::platform
