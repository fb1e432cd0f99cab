// `weft perf --device` on devices that are always there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/device_perf.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

PerfOptions options_for(const std::string& device) {
  PerfOptions options;
  options.device = device;
  options.connections = 2;
  options.queue_depth = 8;
  return options;
}

constexpr host::WorkloadOptions kWorkload{.pattern = host::Pattern::kRandRw, .io_bytes = 4096, .queue_depth = 8, .time = {}, .io_count = 3000, .verify = host::Verify::kYes};

TEST(DevicePerf, VerifiesWhatADeviceKeeps) {
  const auto report = run_device_perf(options_for("ram:16MiB"), kWorkload);
  ASSERT_TRUE(report.has_value()) << report.error().what();
  EXPECT_EQ(report->reads.ios + report->writes.ios, 3000u);
  EXPECT_EQ(report->io_errors + report->verify_errors, 0u) << report->first_error;
  EXPECT_GT(report->blocks_verified, 3000u);
}

TEST(DevicePerf, FindsThatADeviceDropsWrites) {
  const auto report = run_device_perf(options_for("null:16MiB"), kWorkload);
  ASSERT_TRUE(report.has_value()) << report.error().what();
  EXPECT_GT(report->verify_errors, 0u);
  EXPECT_THAT(report->first_error, HasSubstr("lost"));
}

TEST(DevicePerf, SaysWhatADeviceSays) {
  auto reads = kWorkload;
  reads.pattern = host::Pattern::kRead;
  const auto report = run_device_perf(options_for("error:read@0+8,ram:16MiB"), reads);
  ASSERT_TRUE(report.has_value()) << report.error().what();
  EXPECT_GT(report->io_errors, 0u);
  EXPECT_THAT(report->first_error, HasSubstr("Unrecovered Read Error"));
}

TEST(DevicePerf, RefusesWhatIsNoDeviceAndWhatDoesNotFit) {
  EXPECT_EQ(run_device_perf(options_for("nonsense"), kWorkload).error().code, Errc::kInvalid);
  EXPECT_EQ(run_device_perf(options_for("nvme:0000:7f:1f.7"), kWorkload).error().code, Errc::kNotFound);
  auto large = kWorkload;
  large.io_bytes = 16 << 20;
  EXPECT_EQ(run_device_perf(options_for("ram:16MiB"), large).error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace weft::app
