#include "control/validate.h"

#include "control/address.h"
#include "control/config_toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::control {
namespace {

using testing::HasSubstr;

constexpr const char* kHost = "nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de349";

/// A configuration by its parts; the defaults are valid.
struct Parts {
  std::vector<std::string> listeners{"127.0.0.1:4420"};
  std::vector<std::string> devices{"ram:1MiB"};
  std::vector<std::string> allow_hosts{};
  std::optional<bool> allow_any_host{};
  std::string nqn = "nqn.2025-01.io.example:a";
};

SubsystemConfig subsystem_of(const Parts& parts) {
  SubsystemConfig subsystem{.nqn = parts.nqn, .allow_any_host = parts.allow_any_host, .allow_hosts = parts.allow_hosts};
  for (const std::string& device : parts.devices)
    subsystem.namespaces.push_back({.device = parse_device_spec(device).value()});
  return subsystem;
}

Config config_of(const Parts& parts) {
  Config config;
  for (const std::string& listener : parts.listeners)
    config.listeners.push_back({.address = parse_address(listener).value()});
  config.subsystems.push_back(subsystem_of(parts));
  return with_nsids(config);
}

/// All messages, one a line; empty when the configuration is valid.
std::string problems_of(const Config& config) {
  std::string all;
  for (const Problem& problem : validate(config, Wording::kFile)) all += problem.text + "\n";
  return all;
}

TEST(Validate, AcceptsWhatIsSafe) {
  const Parts kCases[] = {
      {},
      {.listeners = {"127.0.0.1:4420", "[::1]:4420", "127.0.0.1:0", "127.0.0.1:0"}},
      {.listeners = {"0.0.0.0:4420", "127.0.0.1:4421"}, .allow_hosts = {kHost}},
      {.listeners = {"[::]:4420"}, .allow_any_host = true},
      {.devices = {"/dev/sdx"}, .allow_hosts = {kHost}},
      {.devices = {"/dev/sdx", "file:/srv/a,size=4096,block_size=4096", "ram:512"}, .allow_any_host = true},
      {.allow_hosts = {"nqn.some-odd-host"}, .allow_any_host = false},
      {.nqn = ""},
  };
  for (const Parts& parts : kCases)
    EXPECT_EQ(problems_of(config_of(parts)), "") << parts.listeners[0] << " " << parts.devices[0];
}

TEST(Validate, RefusesWithTheFix) {
  const struct {
    Parts parts;
    const char* message;
  } kCases[] = {
      {{.listeners = {}}, "no listener: add [[listener]]"},
      {{.listeners = {"127.0.0.1:1", "127.0.0.1:1"}}, "address 127.0.0.1:1 is given twice"},
      {{.listeners = {"127.0.0.1:1", "0.0.0.0:1"}, .allow_any_host = true},
       "address 127.0.0.1:1 is covered by the wildcard address of port 1"},
      {{.devices = {}}, "has no namespace: add [[subsystem.namespace]]"},
      {{.devices = {"ram:1000"}}, "the size 1000 is not a multiple of the block size 512: 512 is"},
      {{.devices = {"ram:6144,block_size=4096"}}, "the size 6144 is not a multiple of the block size 4096: 4096 is"},
      {{.devices = {"ram:1MiB,block_size=1024"}}, "block size 1024 is not one: write 512 or 4096"},
      {{.devices = {"file:/srv/a", "file:/srv/../srv/a"}}, "is given twice: one medium backs one namespace"},
      {{.devices = {"ram:1MiB,uuid=0f01fb42-9f7f-4856-b0b3-51e60b8de349",
                    "null:1MiB,uuid=0f01fb42-9f7f-4856-b0b3-51e60b8de349"}},
       "UUID 0f01fb42-9f7f-4856-b0b3-51e60b8de349 is given twice"},
      {{.nqn = "testnqn"}, "nqn 'testnqn' is not an NQN"},
      {{.nqn = "nqn.2025-01.io.example:" + std::string(220, 'x')}, "at most 223 bytes"},
      {{.nqn = "nqn.2014-08.org.nvmexpress.discovery"}, "is the discovery service's"},
      {{.allow_hosts = {"host1"}}, "allow_hosts 'host1' is not a host NQN"},
      {{.allow_hosts = {"nqn.a\nb"}}, "is not a host NQN"},
      {{.allow_hosts = {kHost, kHost}}, "is given twice for subsystem"},
      {{.allow_hosts = {kHost}, .allow_any_host = true}, "makes the listed hosts meaningless"},
      {{.allow_any_host = false}, "no host may connect: list them in allow_hosts or say allow_any_host = true"},
      {{.listeners = {"10.0.0.1:1"}}, "others than this machine reach 10.0.0.1:1"},
      {{.listeners = {"127.0.0.1:1", "0.0.0.0:2"}}, "others than this machine reach 0.0.0.0:2"},
      {{.listeners = {"[::]:2"}}, "list them in allow_hosts or say allow_any_host = true"},
      {{.devices = {"ram:1MiB", "/dev/sdx"}}, "'/dev/sdx' is a disk, so say which hosts may connect, even on loopback"},
      {{.devices = {"delay:1ms,/dev/sdx"}}, "'/dev/sdx' is a disk"},
      {{.devices = {"nvme:01:00.0"}}, "'01:00.0' is a disk"},
      {{.devices = {"nvme:01:00.0", "nvme:0000:01:00.0,nsid=1"}}, "is given twice: one medium backs one namespace"},
  };
  for (const auto& [parts, message] : kCases) EXPECT_THAT(problems_of(config_of(parts)), HasSubstr(message));
}

TEST(Validate, RefusesASecondUseOfWhatIsUnique) {
  Config config = config_of({});
  config.subsystems.push_back(subsystem_of({}));
  config = with_nsids(config);
  EXPECT_THAT(problems_of(config), HasSubstr("nqn 'nqn.2025-01.io.example:a' is given twice"));
  config.subsystems[1].nqn = "nqn.2025-01.io.example:b";
  EXPECT_EQ(problems_of(config), "");
  config.subsystems[0].serial = config.subsystems[1].serial = "S";
  EXPECT_THAT(problems_of(config), HasSubstr("serial 'S' is given twice"));
}

TEST(Validate, RefusesADuplicateNsidInOneSubsystemOnly) {
  Config config = config_of({.devices = {"ram:1MiB", "ram:2MiB"}});
  config.subsystems.push_back(subsystem_of({.nqn = "nqn.2025-01.io.example:b"}));
  config = with_nsids(config);
  EXPECT_EQ(problems_of(config), "");
  config.subsystems[0].namespaces[1].nsid = 1;
  EXPECT_THAT(problems_of(config), HasSubstr("NSID 1 is given twice in subsystem 'nqn.2025-01.io.example:a'"));
}

TEST(Validate, RefusesTwoSubsystemsWithoutAnNqn) {
  Config config = config_of({.nqn = ""});
  config.subsystems.push_back(subsystem_of({.nqn = ""}));
  EXPECT_THAT(problems_of(with_nsids(config)), HasSubstr("only one subsystem may go without an NQN"));
}

TEST(Validate, RefusesLabelsThatDoNotFitTheirFields) {
  for (const std::string& label :
       {std::string(21, 's'), std::string{" s"}, std::string{"s "}, std::string{"s\n"}, std::string{"\xc3\xa4"}}) {
    Config config = config_of({});
    config.subsystems[0].serial = label;
    EXPECT_THAT(problems_of(config), HasSubstr("at most 20 printable ASCII characters")) << label;
  }
  Config config = config_of({});
  config.subsystems[0].serial = std::string(20, 's');
  config.subsystems[0].model = std::string(40, 'm');
  EXPECT_EQ(problems_of(config), "");
  config.subsystems[0].model += "m";
  EXPECT_THAT(problems_of(config), HasSubstr("at most 40 printable ASCII characters"));
}

TEST(Validate, RefusesMoreNamespacesThanTheLimit) {
  Config config = config_of({.devices = {"ram:1MiB", "ram:1MiB", "ram:1MiB"}});
  config.target.limits.namespaces = 2;
  EXPECT_THAT(problems_of(config), HasSubstr("has more than 2 namespaces"));
}

TEST(Validate, SpeaksOfFlagsToThoseWhoUseThem) {
  const Config config = config_of({.listeners = {"10.0.0.1:1"}});
  const Problems problems = validate(config, Wording::kFlags);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0].text, HasSubstr("list them with --allow-host HOSTNQN or say --allow-any-host"));
}

}  // namespace
}  // namespace weft::control
