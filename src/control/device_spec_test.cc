#include "control/device_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::control {
namespace {

using testing::HasSubstr;

constexpr uint64_t kGiB = uint64_t{1} << 30;

DeviceSpec spec_of(std::string_view text) {
  auto spec = parse_device_spec(text);
  EXPECT_TRUE(spec.has_value()) << text << ": " << (spec ? "" : spec.error().text);
  return spec.value_or(DeviceSpec{});
}

TEST(DeviceSpec, ReadsEveryKind) {
  static constexpr struct {
    std::string_view text;
    DeviceKind kind;
    std::string_view path;
    uint64_t size_bytes;
  } kCases[] = {
      {"ram:1GiB", DeviceKind::kRam, "", kGiB},
      {"null:10g", DeviceKind::kNull, "", 10 * kGiB},
      {"file:/srv/a.img", DeviceKind::kFile, "/srv/a.img", 0},
      {"file:relative/a=b:c.img,size=8GiB", DeviceKind::kFile, "relative/a=b:c.img", 8 * kGiB},
      {"file:/dev/shm/a.img,size=4096", DeviceKind::kFile, "/dev/shm/a.img", 4096},
      {"/dev/sdx", DeviceKind::kBlockDevice, "/dev/sdx", 0},
      {"/dev/ng0n1", DeviceKind::kBlockDevice, "/dev/ng0n1", 0},
      {"/dev/disk/by-path/pci-0000:00:1f.2-ata-1", DeviceKind::kBlockDevice, "/dev/disk/by-path/pci-0000:00:1f.2-ata-1",
       0},
      {"nvme:0000:01:00.0", DeviceKind::kNvme, "0000:01:00.0", 0},
  };
  for (const auto& row : kCases) {
    const DeviceSpec spec = spec_of(row.text);
    EXPECT_EQ(spec.kind, row.kind) << row.text;
    EXPECT_EQ(spec.path, row.path) << row.text;
    EXPECT_EQ(spec.size_bytes, row.size_bytes) << row.text;
    EXPECT_EQ(spec.block_size, 0u) << row.text;
    EXPECT_FALSE(spec.uuid.has_value()) << row.text;
    EXPECT_FALSE(spec.force) << row.text;
  }
}

TEST(DeviceSpec, ReadsOptionsInAnyOrder) {
  const DeviceSpec spec = spec_of("/dev/sdx,uuid=0f01fb42-9f7f-4856-b0b3-51e60b8de349,force=true,block_size=4KiB");
  EXPECT_TRUE(spec.force);
  EXPECT_EQ(spec.block_size, 4096u);
  ASSERT_TRUE(spec.uuid.has_value());
  EXPECT_EQ(to_text(*spec.uuid), "0f01fb42-9f7f-4856-b0b3-51e60b8de349");
}

TEST(DeviceSpec, ANamespaceOfADeviceIsTheFirstUnlessSaid) {
  EXPECT_EQ(spec_of("nvme:01:00.0").nsid, 1u);
  EXPECT_EQ(spec_of("nvme:01:00.0,nsid=7").nsid, 7u);
  EXPECT_FALSE(spec_of("nvme:01:00.0").allows_no_iommu);
  EXPECT_TRUE(spec_of("nvme:01:00.0,unsafe_no_iommu=true").allows_no_iommu);
  EXPECT_EQ(to_text(spec_of("nvme:01:00.0,nsid=7")), "nvme:01:00.0,nsid=7");
}

TEST(DeviceSpec, ReadsFiltersFromTheOutside) {
  const DeviceSpec spec = spec_of("delay:write@10ms,error:read@100+8*3,error:flush,ram:1GiB,block_size=512");
  ASSERT_EQ(spec.filters.size(), 3u);
  EXPECT_EQ(spec.filters[0], Filter(DelayFilter{FilterOp::kWrite, milliseconds(10)}));
  EXPECT_EQ(spec.filters[1], Filter(ErrorFilter{FilterOp::kRead, BlockRange{100, 8}, 3}));
  EXPECT_EQ(spec.filters[2], Filter(ErrorFilter{FilterOp::kFlush, std::nullopt, std::nullopt}));
  EXPECT_EQ(spec.kind, DeviceKind::kRam);
  EXPECT_EQ(spec.block_size, 512u);
}

TEST(DeviceSpec, RefusesWhatIsNoneAndSaysWhatToWrite) {
  static constexpr struct {
    std::string_view text;
    const char* advice;
  } kCases[] = {
      {"", "write ram:1GiB"},
      {"ram", "write ram:1GiB"},
      {"disk:/dev/sda", "write ram:1GiB"},
      {"ram:", "not a size"},
      {"ram:1GB", "not a size"},
      {"ram:0", "at least one block"},
      {"ram:8388608TiB", "largest file offset"},
      {"ram:1GiB,", "last comma"},
      {"ram:1GiB,,force=true", "key=value"},
      {"ram:1GiB,size=1GiB", "after the colon"},
      {"ram:1GiB,force=true", "block devices only"},
      {"ram:1GiB,readonly=true", "not an option"},
      {"ram:1GiB,block_size=x", "512 or 4096"},
      {"ram:1GiB,block_size=8GiB", "512 or 4096"},
      {"ram:1GiB,uuid=1", "hexadecimal"},
      {"ram:1GiB,block_size=512,block_size=512", "twice"},
      {"file:", "file:PATH"},
      {"file:/srv/a,b.img", "a path cannot hold a comma"},
      {"file:/dev/sda", "without file:"},
      {"file:/srv/../dev/sda", "without file:"},
      {"file:/srv/a,size=0", "at least one block"},
      {"/srv/a.img", "file:PATH"},
      {"/dev/../srv/a.img", "file:PATH"},
      {"/dev/sda,size=1GiB", "its own size"},
      {"/dev/sda,force=yes", "force=true"},
      {"nvme:", "needs a PCI address"},
      {"nvme:01:00.0,nsid=0", "from 1 on"},
      {"nvme:01:00.0,nsid=1x", "from 1 on"},
      {"nvme:01:00.0,size=1GiB", "its own size"},
      {"nvme:01:00.0,block_size=512", "nvme format"},
      {"nvme:01:00.0,force=true", "block devices only"},
      {"ram:1GiB,nsid=1", "nvme only"},
      {"ram:1GiB,unsafe_no_iommu=true", "nvme only"},
      {"nvme:01:00.0,unsafe_no_iommu=yes", "unsafe_no_iommu=true or unsafe_no_iommu=false"},
      {"delay:10ms", "stands the device"},
      {"delay:10ms,", "last comma"},
      {"delay:10,ram:1GiB", "us, ms or s"},
      {"delay:86401s,ram:1GiB", "us, ms or s"},
      {"delay:trim@1s,ram:1GiB", "any, read, write or flush"},
      {"error:,ram:1GiB", "any, read, write or flush"},
      {"error:read@,ram:1GiB", "LBA+COUNT"},
      {"error:read@1+0,ram:1GiB", "LBA+COUNT"},
      {"error:read@18446744073709551615+1,ram:1GiB", "64-bit"},
      {"error:flush@1,ram:1GiB", "error:flush"},
      {"error:read*0,ram:1GiB", "how often"},
  };
  for (const auto& [text, advice] : kCases) {
    const auto spec = parse_device_spec(text);
    ASSERT_FALSE(spec.has_value()) << text;
    EXPECT_THAT(std::string{spec.error().what()}, HasSubstr(advice)) << text;
  }
}

TEST(DeviceSpec, RefusesMoreFiltersThanItsBound) {
  std::string text = "ram:1GiB";
  for (size_t i = 0; i < kFiltersMax; ++i) text = "delay:1ms," + text;
  EXPECT_TRUE(parse_device_spec(text).has_value());
  EXPECT_FALSE(parse_device_spec("delay:1ms," + text).has_value());
}

TEST(DeviceSpec, ErrorsKeepTheirAdviceForLongText) {
  const auto spec = parse_device_spec("/" + std::string(1000, 'x'));
  ASSERT_FALSE(spec.has_value());
  EXPECT_THAT(std::string{spec.error().what()}, HasSubstr("file:PATH"));
}

TEST(Duration, ReadsNumbersWithUnits) {
  EXPECT_EQ(parse_duration("500us").value(), microseconds(500));
  EXPECT_EQ(parse_duration("10ms").value(), milliseconds(10));
  EXPECT_EQ(parse_duration("86400s").value(), seconds(86400));
  EXPECT_FALSE(parse_duration("99999999999999999999s").has_value());
  EXPECT_FALSE(parse_duration("-1s").has_value());
}

}  // namespace
}  // namespace weft::control
