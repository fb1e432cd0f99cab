// What `weft devices` prints of a machine on paper.
#include "app/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/json.h"
#include "platform/linux/temporary_directory.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

class DevicesTest : public ::testing::Test {
 protected:
  void add_device() {
    const std::string place = "sys/bus/pci/devices/0000:01:00.0/";
    directory_.write(place + "class", "0x010802\n");
    directory_.write(place + "numa_node", "0\n");
    directory_.write(place + "nvme/nvme0/model", "Fast\n");
    directory_.write(place + "nvme/nvme0/serial", "S\x1b[31m1\n");
    directory_.write(place + "nvme/nvme0/nvme0n1/dev", "259:0\n");
    directory_.write(place + "nvme/nvme0/nvme0n1/size", "4194304\n");
    std::filesystem::create_directories(directory_.path("sys/dev/block"));
    std::filesystem::create_symlink(directory_.path(place + "nvme/nvme0/nvme0n1"), directory_.path("sys/dev/block/259:0"));
    directory_.write("proc/self/mountinfo", "22 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
  }
  platform::SystemRoot root() { return {.proc = directory_.path("proc"), .sys = directory_.path("sys"), .dev = directory_.path("dev")}; }
  platform::TemporaryDirectory directory_;
};

TEST_F(DevicesTest, AMachineWithoutAnySaysSo) {
  EXPECT_EQ(devices_text(root(), OutputFormat::kTable), "This machine has no NVMe devices on PCI.\n");
  EXPECT_TRUE(Json::parse(devices_text(root(), OutputFormat::kJson))["devices"].empty());
}

TEST_F(DevicesTest, ALineForEachSaysWhoUsesIt) {
  add_device();
  const std::string text = devices_text(root(), OutputFormat::kTable);
  EXPECT_THAT(text, HasSubstr("0000:01:00.0  Fast"));
  EXPECT_THAT(text, HasSubstr("2 GiB"));
  EXPECT_THAT(text, HasSubstr("nvme0n1 mounted on /srv"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST_F(DevicesTest, JsonHasTheSame) {
  add_device();
  const Json device = Json::parse(devices_text(root(), OutputFormat::kJson))["devices"][0];
  EXPECT_EQ(device["address"], "0000:01:00.0");
  EXPECT_EQ(device["driver"], "");
  EXPECT_TRUE(device["iommu_group"].is_null());
  EXPECT_EQ(device["has_iommu"], false);
  EXPECT_EQ(device["numa_node"], 0);
  EXPECT_EQ(device["namespaces"][0]["size_bytes"], 2147483648);
  EXPECT_EQ(device["namespaces"][0]["user"], "mounted on /srv");
}

}  // namespace
}  // namespace weft::app
