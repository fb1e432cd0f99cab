// A machine on paper with NVMe devices, and a kernel on paper that moves them between drivers.
#include "platform/linux/nvme_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/linux/device_binding.h"
#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

/// Two devices: 0000:01:00.0, which the kernel drives, with one namespace; 0000:02:00.0, which VFIO has, open in process 812.
class NvmeDevicesTest : public ::testing::Test {
 protected:
  NvmeDevicesTest() {
    add_function("0000:00:02.0", "0x030000", "i915", "1");
    add_function("0000:01:00.0", "0x010802", "nvme", "14");
    add_function("0000:02:00.0", "0x010802", "vfio-pci", "15");
    write("bus/pci/devices/0000:01:00.0/numa_node", "1\n");
    write("bus/pci/devices/0000:02:00.0/numa_node", "-1\n");
    const std::string controller = "bus/pci/devices/0000:01:00.0/nvme/nvme0/";
    write(controller + "model", "Fast 990                   \n");
    write(controller + "serial", "S123  \n");
    write(controller + "firmware_rev", "1A\n");
    add_namespace(controller + "nvme0n1", "259:0");
    directory_.write("proc/self/mountinfo", "");
    directory_.write("proc/swaps", "");
    directory_.write("proc/812/comm", "weft\n");
    fs::create_directories(directory_.path("proc/812/fd"));
    fs::create_symlink("/dev/vfio/15", directory_.path("proc/812/fd/9"));
  }
  void write(const std::string& name, const std::string& text) { directory_.write("sys/" + name, text); }
  void link(const std::string& from, const std::string& to) {
    fs::create_directories(fs::path{directory_.path("sys/" + from)}.parent_path());
    fs::create_symlink(to, directory_.path("sys/" + from));
  }
  void add_function(const std::string& address, const std::string& class_code, const std::string& driver, const std::string& group) {
    const std::string place = "bus/pci/devices/" + address;
    write(place + "/class", class_code + "\n");
    write(place + "/driver_override", "(null)\n");
    write("bus/pci/drivers/" + driver + "/bind", "");
    link(place + "/driver", directory_.path("sys/bus/pci/drivers/" + driver));
    fs::create_directories(directory_.path("sys/groups/" + group + "/devices"));
    link(place + "/iommu_group", directory_.path("sys/groups/" + group));
    link("groups/" + group + "/devices/" + address, directory_.path("sys/" + place));
    directory_.write("dev/vfio/" + group, "");
  }
  void add_namespace(const std::string& place, const std::string& number) {
    write(place + "/dev", number + "\n");
    write(place + "/size", "2048\n");
    write(place + "/uevent", "DEVNAME=" + fs::path{place}.filename().string() + "\n");
    fs::create_directories(directory_.path("sys/" + place + "/holders"));
    link("dev/block/" + number, directory_.path("sys/" + place));
  }
  void mount(const std::string& number, const std::string& point) {
    directory_.write("proc/self/mountinfo", "22 1 " + number + " / " + point + " rw - ext4 /dev/somewhere rw\n");
  }
  std::string driver_of(const std::string& address) { return link_name(directory_.path("sys/bus/pci/devices/" + address + "/driver")); }

  /// As the kernel does: to the driver that is asked for, or to `by_itself_`.
  Result<void> kernel(const std::string& path, std::string_view text) {
    writes_.push_back(fs::path{path}.filename());
    const fs::path file{path};
    if (file.filename() == "driver_override") override_ = text == "\n" ? "" : std::string{text};
    if (file.filename() == "unbind") fs::remove(directory_.path("sys/bus/pci/devices/" + std::string{text} + "/driver"));
    if (file.filename() == "drivers_probe") {
      const std::string driver = override_.empty() ? by_itself_ : override_;
      const std::string place = "bus/pci/devices/" + std::string{text} + "/driver";
      if (driver_of(std::string{text}).empty() && is_willing_ && !driver.empty()) link(place, directory_.path("sys/bus/pci/drivers/" + driver));
      if (!is_willing_) is_willing_ = true;
    }
    return {};
  }
  SystemRoot root() { return {.proc = directory_.path("proc"), .sys = directory_.path("sys"), .dev = directory_.path("dev")}; }
  DeviceBinding binding() {
    return {root(), [this](const std::string& path, std::string_view text) { return kernel(path, text); }};
  }
  /// Without namespaces: a test has no block device for them.
  void make_empty() { fs::remove_all(directory_.path("sys/bus/pci/devices/0000:01:00.0/nvme/nvme0/nvme0n1")); }

  TemporaryDirectory directory_;
  std::vector<std::string> writes_;
  std::string override_;
  std::string by_itself_ = "nvme";
  bool is_willing_ = true;  // the next driver that is asked for takes it
};

TEST_F(NvmeDevicesTest, TellsWhatIsThereAndWhoDrivesIt) {
  const auto devices = list_nvme_devices(root());
  ASSERT_THAT(devices, SizeIs(2));
  EXPECT_EQ(devices[0].address, "0000:01:00.0");
  EXPECT_EQ(devices[0].driver, "nvme");
  EXPECT_EQ(devices[0].controller, "nvme0");
  EXPECT_EQ(devices[0].model, "Fast 990");
  EXPECT_EQ(devices[0].serial, "S123");
  EXPECT_EQ(devices[0].iommu_group, 14u);
  EXPECT_TRUE(devices[0].has_iommu);
  EXPECT_EQ(vfio_node(devices[0]), "vfio/14");
  EXPECT_EQ(devices[0].numa_node, 1u);
  ASSERT_THAT(devices[0].namespaces, SizeIs(1));
  EXPECT_EQ(devices[0].namespaces[0].name, "nvme0n1");
  EXPECT_EQ(devices[0].namespaces[0].size_bytes, 1u << 20);
  EXPECT_EQ(devices[0].namespaces[0].user, std::nullopt);
  EXPECT_EQ(devices[1].driver, "vfio-pci");
  EXPECT_EQ(devices[1].numa_node, std::nullopt);
  EXPECT_EQ(find_vfio_user(root(), devices[0]), std::nullopt);
  EXPECT_EQ(find_vfio_user(root(), devices[1]), "process 812 (weft)");
}

TEST_F(NvmeDevicesTest, NamespacesOfJoinedPathsAreFoundInTheirSubsystem) {
  make_empty();
  write("bus/pci/devices/0000:01:00.0/nvme/nvme0/nvme0c0n1/size", "1\n");
  add_namespace("class/nvme-subsystem/nvme-subsys0/nvme0n2", "259:3");
  link("class/nvme-subsystem/nvme-subsys0/nvme0", directory_.path("sys/bus/pci/devices/0000:01:00.0/nvme/nvme0"));
  mount("259:3", "/srv");
  const auto device = find_nvme_device(root(), "0000:01:00.0");
  ASSERT_THAT(device->namespaces, SizeIs(1));
  EXPECT_EQ(device->namespaces[0].name, "nvme0n2");
  EXPECT_EQ(device->namespaces[0].user, "mounted on /srv");
}

TEST_F(NvmeDevicesTest, AddressesMayBeShortAndMustBeNvme) {
  EXPECT_EQ(find_nvme_device(root(), "01:00.0")->address, "0000:01:00.0");
  EXPECT_EQ(find_nvme_device(root(), "/dev/nvme0").error().code, Errc::kInvalid);
  EXPECT_THAT(std::string(find_nvme_device(root(), "05:00.0").error().what()), HasSubstr("no PCI device 0000:05:00.0"));
  EXPECT_THAT(std::string(find_nvme_device(root(), "00:02.0").error().what()), HasSubstr("is no NVMe device"));
}

TEST_F(NvmeDevicesTest, OneThatIsInUseIsNotTakenEvenByForce) {
  mount("259:0", "/home");
  const auto bound = binding().bind({.address = "01:00.0", .force = true});
  EXPECT_EQ(bound.error().code, Errc::kBusy);
  EXPECT_THAT(std::string(bound.error().what()), HasSubstr("nvme0n1 is mounted on /home"));
  EXPECT_THAT(writes_, IsEmpty());
}

TEST_F(NvmeDevicesTest, AFreeOneIsTakenAndGivenBack) {
  make_empty();
  EXPECT_EQ(*binding().bind({.address = "01:00.0"}), directory_.path("dev/vfio/14"));
  EXPECT_EQ(driver_of("0000:01:00.0"), "vfio-pci");
  EXPECT_THAT(writes_, ElementsAre("driver_override", "unbind", "drivers_probe"));
  EXPECT_TRUE(binding().bind({.address = "01:00.0"}).has_value());  // done already
  EXPECT_THAT(writes_, SizeIs(3));
  EXPECT_EQ(*binding().unbind("01:00.0"), "nvme");
  EXPECT_EQ(override_, "");
}

TEST_F(NvmeDevicesTest, OneThatVfioDoesNotTakeGoesBackToItsDriver) {
  make_empty();
  is_willing_ = false;
  EXPECT_THAT(std::string(binding().bind({.address = "01:00.0"}).error().what()), HasSubstr("vfio-pci did not take it"));
  EXPECT_EQ(driver_of("0000:01:00.0"), "nvme");
  EXPECT_EQ(override_, "");
}

TEST_F(NvmeDevicesTest, OneThatCannotBeGivenToItsOwnerGoesBackToItsDriver) {
  make_empty();
  fs::remove(directory_.path("dev/vfio/14"));
  EXPECT_THAT(std::string(binding().bind({.address = "01:00.0", .owner = "root"}).error().what()), HasSubstr("to root"));
  EXPECT_EQ(driver_of("0000:01:00.0"), "nvme");
}

TEST_F(NvmeDevicesTest, WhatNobodyDrivesMayHoldAnything) {
  fs::remove(directory_.path("sys/bus/pci/devices/0000:01:00.0/driver"));
  fs::remove_all(directory_.path("sys/bus/pci/devices/0000:01:00.0/nvme"));
  EXPECT_EQ(binding().bind({.address = "01:00.0"}).error().code, Errc::kExists);
  EXPECT_TRUE(binding().bind({.address = "01:00.0", .force = true}).has_value());
}

TEST_F(NvmeDevicesTest, OthersOfItsIommuGroupAreNamed) {
  make_empty();
  add_function("0000:01:00.1", "0x040300", "snd_hda_intel", "14");
  add_function("0000:00:01.0", "0x060400", "pcieport", "14");  // a bridge
  const auto bound = binding().bind({.address = "01:00.0"});
  EXPECT_EQ(bound.error().code, Errc::kBusy);
  EXPECT_THAT(std::string(bound.error().what()), HasSubstr("other devices in use: 0000:01:00.1 (snd_hda_intel);"));
}

TEST_F(NvmeDevicesTest, WithoutAnIommuItMustBeAskedForAndAllowed) {
  make_empty();
  fs::remove(directory_.path("sys/bus/pci/devices/0000:01:00.0/iommu_group"));
  EXPECT_THAT(std::string(binding().bind({.address = "01:00.0"}).error().what()), HasSubstr("--unsafe-no-iommu"));
  const BindRequest allowed{.address = "01:00.0", .allow_no_iommu = true};
  EXPECT_THAT(std::string(binding().bind(allowed).error().what()), HasSubstr("built without CONFIG_VFIO_NOIOMMU"));
  write("module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
  EXPECT_THAT(std::string(binding().bind(allowed).error().what()), HasSubstr("echo 1 > "));
  EXPECT_THAT(writes_, IsEmpty());
}

TEST_F(NvmeDevicesTest, WithoutAnIommuVfioHasANodeOfAnotherName) {
  write("groups/15/name", "vfio-noiommu\n");
  const auto device = find_nvme_device(root(), "02:00.0");
  EXPECT_FALSE(device->has_iommu);
  EXPECT_EQ(vfio_node(*device), "vfio/noiommu-15");
  EXPECT_EQ(find_vfio_user(root(), *device), std::nullopt);
  fs::create_symlink("/dev/vfio/noiommu-15", directory_.path("proc/812/fd/10"));
  EXPECT_EQ(find_vfio_user(root(), *device), "process 812 (weft)");
}

TEST_F(NvmeDevicesTest, TheDriverAndTheOwnerMustBeThere) {
  make_empty();
  EXPECT_THAT(std::string(binding().bind({.address = "01:00.0", .owner = "no such user"}).error().what()), HasSubstr("no user no such user"));
  fs::remove_all(directory_.path("sys/bus/pci/drivers/vfio-pci"));
  EXPECT_THAT(std::string(binding().bind({.address = "01:00.0"}).error().what()), HasSubstr("modprobe vfio-pci"));
  EXPECT_THAT(writes_, IsEmpty());
}

TEST_F(NvmeDevicesTest, OneThatAProcessUsesIsNotGivenBack) {
  EXPECT_THAT(std::string(binding().unbind("02:00.0").error().what()), HasSubstr("process 812 (weft) uses it"));
  EXPECT_EQ(binding().unbind("01:00.0").error().code, Errc::kInvalid);
  EXPECT_THAT(writes_, IsEmpty());
}

TEST_F(NvmeDevicesTest, AKernelWithoutTheNvmeDriverIsTold) {
  by_itself_ = "";
  fs::remove_all(directory_.path("proc/812"));
  EXPECT_THAT(std::string(binding().unbind("02:00.0").error().what()), HasSubstr("modprobe nvme"));
}

}  // namespace
}  // namespace weft::platform
