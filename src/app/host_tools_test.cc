// What the host tools print, without a target; with one they are tested in tests/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/connect_line.h"
#include "app/discovery_words.h"
#include "app/identify.h"
#include "app/perf.h"
#include "wire/text_field.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

TEST(ConnectLine, IsTheLineOfNvmeCli) {
  EXPECT_EQ(connect_line({fabrics::Trtype::kTcp, "127.0.0.1", "4420", "nqn.2014-08.org.example:a", ""}), "nvme connect -t tcp -a 127.0.0.1 -s 4420 -n nqn.2014-08.org.example:a");
  EXPECT_EQ(connect_line({fabrics::Trtype::kRdma, "::1", "8009", "nqn.x", "nqn.y", "::2"}), "nvme connect -t rdma -a ::1 -s 8009 -n nqn.x -q nqn.y -w ::2");
}

TEST(ConnectLine, DoesNotLetATargetRunCommands) {
  EXPECT_EQ(connect_line({fabrics::Trtype::kTcp, "1.2.3.4", "4420", "nqn.x; rm -rf '~'", ""}), "nvme connect -t tcp -a 1.2.3.4 -s 4420 -n 'nqn.x; rm -rf '\\''~'\\'''");
}

TEST(DiscoveryWords, NameEveryValueAndAnyOther) {
  EXPECT_EQ(word_of(fabrics::Trtype::kTcp), "tcp");
  EXPECT_EQ(word_of(fabrics::Trtype(77)), "unrecognized");
  EXPECT_EQ(treq_words(fabrics::kTreqDisableSqFlowControl), "not specified, sq flow control disable supported");
  EXPECT_EQ(eflags_words(0), "none");
  EXPECT_EQ(eflags_words(fabrics::kEflagsEpcsd | fabrics::kEflagsDupretinfo), "explicit discovery connections, duplicate discovery information");
}

TEST(IdentifyJson, HasNvmeClisKeys) {
  nvme::IdentifyController controller{};
  set_space_padded(controller.sn, "SN1");
  controller.cntlid = uint16_t{7};
  controller.ver = 0x00020000u;
  const Json json = to_json(controller);
  EXPECT_EQ(json["sn"], "SN1");
  EXPECT_EQ(json["cntlid"], 7);
  EXPECT_EQ(json["ver"], 0x20000);
  EXPECT_EQ(json["psds"].size(), 1u);

  IdentifiedNamespace ns{.nsid = 3, .id = {}, .descriptors = std::vector<std::byte>(64)};
  ns.id.nsze = uint64_t{1} << 33;
  ns.id.lbaf[0].lbads = 12;
  ns.id.nguid[15] = 0xab;
  ns.descriptors[0] = std::byte{3};
  ns.descriptors[1] = std::byte{16};
  ns.descriptors[4] = std::byte{0x42};
  const Json ns_json = to_json(ns);
  EXPECT_EQ(ns_json["nsze"], uint64_t{1} << 33);
  EXPECT_EQ(ns_json["lbafs"][0]["ds"], 12);
  EXPECT_EQ(ns_json["nguid"], "000000000000000000000000000000ab");
  EXPECT_EQ(ns_json["uuid"], "42000000-0000-0000-0000-000000000000");
}

TEST(IdentifyJson, SurvivesDescriptorsAndTextThatMakeNoSense) {
  IdentifiedNamespace ns{.nsid = 1, .id = {}, .descriptors = std::vector<std::byte>(4096, std::byte{0xff})};
  EXPECT_EQ(to_json(ns)["uuid"], "");
  nvme::IdentifyController controller{};
  controller.sn.fill('\xff');
  EXPECT_THAT(to_text(to_json(controller)), HasSubstr("\"sn\""));
}

TEST(PerfReport, CountsAndQuantilesAreInTheJson) {
  host::WorkloadReport report;
  report.elapsed = seconds(2);
  for (int i = 0; i < 1000; ++i) report.reads.latency_ns.add(100'000);
  report.reads.ios = 1000;
  report.reads.bytes = 1000 * 4096;
  report.writes.latency_ns.add(5'000'000);
  report.writes.ios = 1;
  report.writes.bytes = 4096;
  const Json json = to_json(report);
  EXPECT_EQ(json["iops"], 500.5);
  EXPECT_DOUBLE_EQ(json["mib_per_s"], 1001 * 4096 / 2.0 / (1 << 20));
  EXPECT_EQ(json["io_errors"], 0);
  EXPECT_EQ(json["verify_errors"], 0);
  EXPECT_NEAR(json["latency_us"]["p50"], 100, 4);
  EXPECT_NEAR(json["latency_us"]["p99_9"], 100, 4);
  EXPECT_EQ(json["latency_us"]["max"], 5000);
  EXPECT_EQ(json["read"]["ios"], 1000);
  EXPECT_THAT(to_table(report), HasSubstr("p99.99"));
  EXPECT_TRUE(is_clean(report));
}

TEST(PerfReport, IsNotCleanWithAnyErrorOrWithoutIo) {
  host::WorkloadReport report;
  EXPECT_FALSE(is_clean(report));
  report.reads.ios = 1;
  EXPECT_TRUE(is_clean(report));
  report.verify_errors = 1;
  EXPECT_FALSE(is_clean(report));
  report.verify_errors = 0;
  report.io_errors = 1;
  EXPECT_FALSE(is_clean(report));
}

TEST(PerfOptions, AreParsedAndWrongOnesRefused) {
  const auto parse = [](std::vector<std::string> arguments) {
    PerfOptions options;
    CLI::App app;
    add_perf_options(app, options);
    std::ranges::reverse(arguments);
    app.parse(arguments);
    return options;
  };
  const PerfOptions options = parse({"-a", "127.0.0.1", "-n", "nqn.x", "--rw", "randrw", "--digest", "header,data", "--verify", "-o", "json"});
  EXPECT_EQ(options.pattern, host::Pattern::kRandRw);
  EXPECT_EQ(options.digests, (std::vector<std::string>{"header", "data"}));
  EXPECT_TRUE(options.is_verified);
  EXPECT_EQ(options.host.output, OutputFormat::kJson);
  EXPECT_EQ(options.host.service, 4420);
  EXPECT_THROW(parse({"-a", "127.0.0.1"}), CLI::RequiresError);
  EXPECT_THROW(parse({"-a", "127.0.0.1", "-n", "nqn.x", "--device", "ram:1GiB"}), CLI::ExcludesError);
  EXPECT_THROW(parse({"-a", "127.0.0.1", "-n", "x", "--rw", "sideways"}), CLI::ValidationError);
  EXPECT_THROW(parse({"-a", "127.0.0.1", "-n", "x", "--mix", "101"}), CLI::ValidationError);
  EXPECT_THROW(parse({"-a", "127.0.0.1", "-n", "x", "--digest", "none"}), CLI::ValidationError);
}

}  // namespace
}  // namespace weft::app
