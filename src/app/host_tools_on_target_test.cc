// The host tools against the real target, over real sockets, in one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "app/discover.h"
#include "app/host_runtime.h"
#include "app/identify.h"
#include "app/perf.h"
#include "app/target_process.h"
#include "wire/text_field.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

constexpr char kSubnqn[] = "nqn.2014-08.org.example:tools";

class QuietLog final : public platform::LogOutput {
 public:
  void print(std::chrono::system_clock::time_point, LogLevel, std::string_view, std::string_view) override {}
};

class HostToolsOnTarget : public ::testing::Test {
 protected:
  void SetUp() override {
    control::Config config;
    config.listeners.push_back({.at = {}, .address = {.host = "127.0.0.1", .port = 0, .is_ipv6 = false}, .scheme = {}});
    config.subsystems.push_back({.at = {}, .nqn = kSubnqn, .allow_any_host = true});
    config.subsystems[0].namespaces.push_back({.at = {}, .nsid = 1, .device = {.kind = control::DeviceKind::kRam, .size_bytes = 16 << 20}});
    config.subsystems[0].namespaces.push_back({.at = {}, .nsid = 2, .device = {.kind = control::DeviceKind::kRam, .size_bytes = 16 << 20, .block_size = 4096}});
    auto started = TargetProcess::start(config, {.state_directory = ::testing::TempDir(), .log = std::make_unique<QuietLog>()});
    ASSERT_TRUE(started) << started.error().what();
    target = std::move(*started);
    runtime = std::move(*HostRuntime::create(fabrics::Trtype::kTcp));
    host.address = target->listening()[0].address.host;
    host.service = target->listening()[0].address.port;
    host.subnqn = kSubnqn;
  }
  PerfOptions options(host::Pattern pattern) const {
    PerfOptions perf;
    perf.host = host;
    perf.pattern = pattern;
    perf.connections = 2;
    perf.queue_depth = 16;
    perf.time_s = 0;
    perf.io_count = 2000;
    perf.is_verified = true;
    perf.seed = 11;
    return perf;
  }
  Result<host::WorkloadReport> run(const PerfOptions& options) { return runtime->run(perf(runtime->reactor(), runtime->transport(), options)); }

  std::unique_ptr<TargetProcess> target;
  std::unique_ptr<HostRuntime> runtime;
  HostOptions host;
};

TEST_F(HostToolsOnTarget, DiscoverListsTheSubsystem) {
  HostOptions discovery = host;
  discovery.subnqn.clear();
  const auto log = runtime->run(discover(runtime->reactor(), runtime->transport(), discovery));
  ASSERT_TRUE(log) << log.error().what();
  ASSERT_EQ(log->entries.size(), 2u);
  EXPECT_EQ(text_of(log->entries[1].subnqn), kSubnqn);
  EXPECT_EQ(text_of(log->entries[1].trsvcid), std::to_string(host.service));
}

TEST_F(HostToolsOnTarget, VerifiedIoIsCleanInEveryShape) {
  struct Row {
    const char* name;
    void (*bend)(PerfOptions&);
  };
  const Row rows[] = {
      {"small", [](auto& o) { o.block_size = "512"; }},
      {"4 KiB with digests", [](auto& o) { o.digests = {"header", "data"}; }},
      {"no flow control", [](auto& o) { o.is_flow_control_disabled = true; }},
      {"R2T", [](auto& o) { o.block_size = "64KiB", o.queue_depth = 4; }},
      {"R2T with digests", [](auto& o) { o.block_size = "1MiB", o.queue_depth = 2, o.io_count = 60, o.digests = {"data"}; }},
      {"4 KiB blocks", [](auto& o) { o.nsid = 2; }},
      {"one at a time", [](auto& o) { o.queue_depth = 1, o.connections = 1, o.io_count = 200; }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    PerfOptions bent = options(host::Pattern::kRandRw);
    row.bend(bent);
    runtime = std::move(*HostRuntime::create(fabrics::Trtype::kTcp));  // each runs one task
    const auto report = run(bent);
    ASSERT_TRUE(report) << report.error().what();
    EXPECT_TRUE(is_clean(*report)) << report->first_error;
    EXPECT_EQ(report->reads.ios + report->writes.ios, bent.io_count);
    EXPECT_GT(report->blocks_verified, 0u);
  }
}

TEST_F(HostToolsOnTarget, AMissingNamespaceIsSaid) {
  PerfOptions missing = options(host::Pattern::kRandRead);
  missing.nsid = 9;
  const auto report = run(missing);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().what(), "namespace 9 is not active");
}

TEST_F(HostToolsOnTarget, ThatTheSystemChoosesTheAddressOfThisHostIsSaid) {
  PerfOptions from = options(host::Pattern::kRandRead);
  from.host.host_address = "127.0.0.1";
  EXPECT_THAT(run(from).error().what(), HasSubstr("over TCP the system chooses"));
}

TEST_F(HostToolsOnTarget, AnUnknownSubsystemIsSaid) {
  PerfOptions unknown = options(host::Pattern::kRandRead);
  unknown.host.subnqn = "nqn.2014-08.org.example:other";
  EXPECT_THAT(run(unknown).error().what(), HasSubstr("there is no subsystem nqn.2014-08.org.example:other"));
}

TEST_F(HostToolsOnTarget, ATargetThatEndsDuringARunIsAnErrorAndNotAHang) {
  PerfOptions endless = options(host::Pattern::kRandRead);
  endless.io_count = 0;
  endless.time_s = 60;
  std::jthread stopper;
  // From the run's own reactor: a timer, so that some I/O is on its way.
  struct Stopper {
    TargetProcess& target;
    std::jthread& thread;
    void fire() {
      thread = std::jthread([this] { target.stop(); });
    }
    Timer timer = Timer::calling<&Stopper::fire>(this);
  } stop{*target, stopper};
  runtime->reactor().arm(stop.timer, milliseconds(200));
  const auto report = run(endless);
  ASSERT_TRUE(report) << report.error().what();
  EXPECT_FALSE(is_clean(*report));
  EXPECT_THAT(report->first_error, AnyOf(HasSubstr("closed"), HasSubstr("reset")));
}

}  // namespace
}  // namespace weft::app
