#include "control/config_toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::control {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kSmallest = R"([[listener]]
address = "127.0.0.1:4420"
[[subsystem]]
[[subsystem.namespace]]
device = "ram:1MiB"
)";

/// All messages of a text that must be refused, one a line.
std::string problems_of(std::string_view text) {
  const auto config = parse_config(text);
  if (config.has_value()) return "(accepted)";
  std::string all;
  for (const Problem& problem : config.error()) all += to_text(problem, "f") + "\n";
  return all;
}

TEST(ConfigToml, SmallestFileTakesTheDefaults) {
  const auto config = parse_config(kSmallest);
  ASSERT_TRUE(config.has_value()) << problems_of(kSmallest);
  EXPECT_TRUE(config->target.cores.empty());
  EXPECT_EQ(config->target.poll, PollMode::kAdaptive);
  EXPECT_EQ(config->target.limits.io_timeout_ms, Limits{}.io_timeout_ms);
  ASSERT_EQ(config->subsystems.size(), 1u);
  EXPECT_EQ(config->subsystems[0].nqn, "");
  EXPECT_TRUE(accepts_any_host(config->subsystems[0]));
  EXPECT_FALSE(config->subsystems[0].subsystem_reset);
  ASSERT_EQ(config->subsystems[0].namespaces.size(), 1u);
  EXPECT_EQ(config->subsystems[0].namespaces[0].nsid, 1u);
}

TEST(ConfigToml, ReadsEveryKey) {
  const auto config = parse_config(R"(
[target]
cores = [2, 0]
poll = "always"
io_timeout_s = 7
connections_max = 100
connections_per_peer_max = 10
[[listener]]
address = "tcp://[::1]:0"
[[subsystem]]
nqn = "nqn.2025-01.io.example:a"
allow_hosts = ["nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de349", "nqn.b"]
serial = "S1"
model = "M 1"
subsystem_reset = true
[[subsystem.namespace]]
nsid = 7
device = "file:/srv/a.img,size=8GiB"
block_size = 4096
uuid = "0F01FB42-9F7F-4856-B0B3-51E60B8DE349"
[[subsystem]]
nqn = "nqn.2025-01.io.example:b"
allow_any_host = true
namespace = [{ device = "null:1GiB" }]
)");
  ASSERT_TRUE(config.has_value()) << to_text(config.error()[0], "f");
  EXPECT_EQ(config->target.cores, (std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(config->target.poll, PollMode::kAlways);
  EXPECT_EQ(config->target.limits.io_timeout_ms, 7000u);
  EXPECT_EQ(config->target.limits.connections, 100u);
  EXPECT_EQ(config->target.limits.connections_per_peer, 10u);
  EXPECT_TRUE(config->listeners[0].address.is_ipv6);
  const SubsystemConfig& a = config->subsystems[0];
  EXPECT_EQ(a.nqn, "nqn.2025-01.io.example:a");
  EXPECT_EQ(a.allow_hosts.size(), 2u);
  EXPECT_FALSE(accepts_any_host(a));
  EXPECT_EQ(a.serial, "S1");
  EXPECT_EQ(a.model, "M 1");
  EXPECT_TRUE(a.subsystem_reset);
  EXPECT_EQ(a.namespaces[0].nsid, 7u);
  EXPECT_EQ(a.namespaces[0].device.size_bytes, uint64_t{8} << 30);
  EXPECT_EQ(a.namespaces[0].device.block_size, 4096u);
  EXPECT_EQ(to_text(a.namespaces[0].device.uuid.value()), "0f01fb42-9f7f-4856-b0b3-51e60b8de349");
  EXPECT_TRUE(accepts_any_host(config->subsystems[1]));
}

TEST(ConfigToml, GivesTheLowestFreeNsids) {
  const auto config = parse_config(R"([[listener]]
address = "127.0.0.1:4420"
[[subsystem]]
namespace = [{ device = "null:1MiB" }, { device = "null:2MiB", nsid = 2 }, { device = "null:3MiB" }, { device = "null:4MiB", nsid = 1 }]
)");
  ASSERT_TRUE(config.has_value());
  std::vector<uint32_t> nsids;
  for (const NamespaceConfig& ns : config->subsystems[0].namespaces) nsids.push_back(ns.nsid);
  EXPECT_EQ(nsids, (std::vector<uint32_t>{3, 2, 4, 1}));
}

TEST(ConfigToml, RefusesWithPlaceAndReason) {
  static constexpr struct {
    const char* text;  // appended to kSmallest
    const char* message;
  } kCases[] = {
      {"color = 1",
       "f:6:1: unknown key 'color' in [[subsystem.namespace]]; its keys are nsid, device, block_size, uuid"},
      {"[targets]", "f:6:2: unknown key 'targets' in the file"},
      {"[target]\nx.y = 1", "f:7:1: unknown key 'x' in [target]"},
      {"[listeners]", "f:6:2: unknown key 'listeners'"},
      {"nsid = 0", "f:6:8: nsid of [[subsystem.namespace]] is 0, outside 1 to 1024"},
      {"nsid = 1.0",
       "f:6:8: nsid of [[subsystem.namespace]] must be an integer, without quotes, not a number with a fraction"},
      {"nsid = \"1\"", "not a string"},
      {"block_size = 0", "f:6:14: block_size of [[subsystem.namespace]] is 0"},
      {"block_size = 520", "f:5:10: device 'ram:1 MiB': the block size 520 is not one"},
      {"uuid = \"x\"", "f:6:8: 'x' is not a UUID"},
      {"uuid = \"00000000-0000-0000-0000-000000000000\"", "cannot be all zeroes"},
      {"[target]\ncores = []", "f:7:9: cores of [target] is empty"},
      {"[target]\ncores = [0, 1, 0]", "f:7:9: cores of [target]: core 0 is listed twice"},
      {"[target]\ncores = [0, -1]", "f:7:13: each of cores of [target] is -1, outside 0 to 1023"},
      {"[target]\ncores = 1", "f:7:9: cores of [target] must be an array of integers, not an integer"},
      {"[target]\npoll = \"never\"", "f:7:8: poll of [target] is 'never': write \"adaptive\" or \"always\""},
      {"[target]\npoll = true", "must be a string, not a boolean"},
      {"[target]\nio_timeout_s = 0", "outside 1 to 3600"},
      {"[target]\nconnections_max = 10\nconnections_per_peer_max = 11",
       "f:8:28: connections_per_peer_max of [target] is above the 10"},
      {"[[target]]", "must be one table: write [target], not an array"},
      {"[[listener]]", "f:6:1: address of [[listener]] is missing: write address = \"127.0.0.1:4420\""},
      {"[[listener]]\naddress = \"localhost:1\"", "f:7:11: 'localhost:1' is not an address"},
      {"[[listener]]\naddress = 4420", "f:7:11: address of [[listener]] must be a string, not an integer"},
      {"[[subsystem.namespace]]\nnsid = 2", "f:6:1: device of [[subsystem.namespace]] is missing"},
      {"[[subsystem.namespace]]\ndevice = \"ram:1\\n\"", "f:7:10: '1\\x0a' is not a size"},
      {"[[subsystem.namespace]]\ndevice = \"ram:1MiB,block_size=512\"\nblock_size = 512",
       "f:8:14: the block size is given twice"},
      {"[[subsystem]]\nallow_any_host = \"yes\"",
       "f:7:18: allow_any_host of [[subsystem]] must be true or false, without quotes, not a string"},
      {"[[subsystem]]\nallow_hosts = \"nqn.a\"", "must be an array of strings, not a string"},
      {"[[subsystem]]\nallow_hosts = [1]",
       "f:7:16: each of allow_hosts of [[subsystem]] must be a string, not an integer"},
      {"[[subsystem]]\nnqn = \"\"", "f:7:7: nqn of [[subsystem]] is empty"},
      {"[[subsystem]]\nnamespace = 1", "write double brackets, [[namespace]]"},
      {"device = \"ram:1MiB\"", "f:6:10: this is not TOML: "},
      {"[\nx", "f:6:2: this is not TOML: "},
      {"\xc3\xa9 = 1", "f:6:1: this is not TOML: "},
      {"nonsense", "f:6:9: this is not TOML: "},
  };
  for (const auto& [text, message] : kCases) {
    EXPECT_THAT(problems_of(std::string{kSmallest} + text), HasSubstr(message)) << text;
  }
}

TEST(ConfigToml, SingleBracketsForAListAreExplained) {
  EXPECT_THAT(
      problems_of("[listener]\naddress = \"127.0.0.1:1\"\n[[subsystem]]\nnamespace = [{ device = \"null:1MiB\" }]\n"),
      HasSubstr(
          "f:1:1: listener of the file must be an array of tables: write double brackets, [[listener]], not a table"));
}

TEST(ConfigToml, TellsAllProblemsInTheOrderOfTheText) {
  EXPECT_EQ(problems_of(R"([target]
poll = "x"
[[listener]]
address = "nowhere"
[[subsystem]]
nqn = "bad"
[[subsystem.namespace]]
device = "ram:1"
extra = 1
)"),
            "f:2:8: poll of [target] is 'x': write \"adaptive\" or \"always\"\n"
            "f:4:11: 'nowhere' is not an address: write HOST:PORT, for example 127.0.0.1:4420 or [::1]:4420\n"
            "f:6:7: nqn 'bad' is not an NQN: write nqn.YYYY-MM.REVERSE.DOMAIN:NAME or "
            "nqn.2014-08.org.nvmexpress:uuid:UUID, at most 223 bytes\n"
            "f:8:10: device 'ram:1 B': the size 1 is not a multiple of the block size 512: 512 is\n"
            "f:9:1: unknown key 'extra' in [[subsystem.namespace]]; its keys are nsid, device, block_size, uuid\n");
}

TEST(ConfigToml, AFileOfNothingSaysWhatItNeeds) {
  EXPECT_EQ(problems_of(""),
            "f:1:1: no listener: add [[listener]] with address = \"127.0.0.1:4420\"\n"
            "f:1:1: no subsystem: add [[subsystem]]\n");
}

TEST(ConfigToml, RefusesHugeFilesAndDeepOnes) {
  EXPECT_THAT(problems_of(std::string(kConfigBytesMax + 1, '#')), HasSubstr("more than 1048576 bytes"));
  EXPECT_THAT(problems_of("a = " + std::string(100000, '[')), StartsWith("f:1:"));
}

}  // namespace
}  // namespace weft::control
