#include "app/serve_options.h"

#include "control/address.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::app {
namespace {

using control::Config;
using testing::HasSubstr;

constexpr const char* kHost = "nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de349";

/// What CLI11 makes of the words; an error of its own is returned as text.
std::expected<ServeOptions, std::string> parse(std::vector<std::string> words) {
  CLI::App serve;
  ServeOptions options;
  add_serve_options(serve, options);
  std::ranges::reverse(words);  // CLI11 takes a vector from its end
  try {
    serve.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return std::unexpected(std::string{error.what()});
  }
  return options;
}

Config config_of(const std::vector<std::string>& words) {
  const auto options = parse(words);
  EXPECT_TRUE(options.has_value()) << (options ? "" : options.error());
  auto config = serve_config(*options);
  EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().text);
  return config.value_or(Config{});
}

TEST(ServeOptions, FillsTheConfigurationFromEveryFlag) {
  const Config config =
      config_of({"--listen", "[::1]:4420", "--listen=tcp://127.0.0.1:0", "--subsystem", "nqn.2025-01.io.example:a",
                 "--namespace", "ram:1GiB", "--namespace", "file:/srv/a,size=8GiB,block_size=512", "--allow-host",
                 kHost, "--block-size", "4096", "--cores", "4,0-2", "--poll", "always"});
  ASSERT_EQ(config.listeners.size(), 2u);
  EXPECT_EQ(control::to_text(config.listeners[0].address), "[::1]:4420");
  EXPECT_EQ(control::to_text(config.listeners[1].address), "127.0.0.1:0");
  ASSERT_EQ(config.subsystems.size(), 1u);
  const control::SubsystemConfig& subsystem = config.subsystems[0];
  EXPECT_EQ(subsystem.nqn, "nqn.2025-01.io.example:a");
  EXPECT_EQ(subsystem.allow_hosts, std::vector<std::string>{kHost});
  ASSERT_EQ(subsystem.namespaces.size(), 2u);
  EXPECT_EQ(subsystem.namespaces[0].nsid, 1u);
  EXPECT_EQ(subsystem.namespaces[0].device.block_size, 4096u);
  EXPECT_EQ(subsystem.namespaces[1].nsid, 2u);
  EXPECT_EQ(subsystem.namespaces[1].device.block_size, 512u);
  EXPECT_EQ(config.target.cores, (std::vector<uint32_t>{4, 0, 1, 2}));
  EXPECT_EQ(config.target.poll, control::PollMode::kAlways);
}

TEST(ServeOptions, TheFirstSubsystemFlagNamesTheFirstSubsystemWhereverItStands) {
  const Config config =
      config_of({"--namespace", "ram:1MiB", "--subsystem", "nqn.2025-01.io.example:a", "--listen", "127.0.0.1:1"});
  ASSERT_EQ(config.subsystems.size(), 1u);
  EXPECT_EQ(config.subsystems[0].nqn, "nqn.2025-01.io.example:a");
  EXPECT_EQ(config.subsystems[0].namespaces.size(), 1u);
}

TEST(ServeOptions, WithoutASubsystemFlagTheNqnIsLeftToTheMachine) {
  const Config config = config_of({"--listen", "127.0.0.1:1", "--namespace", "ram:1MiB"});
  ASSERT_EQ(config.subsystems.size(), 1u);
  EXPECT_EQ(config.subsystems[0].nqn, "");
}

TEST(ServeOptions, FlagsAfterASecondSubsystemBelongToIt) {
  const Config config =
      config_of({"--listen", "127.0.0.1:1", "--block-size", "4096", "--subsystem", "nqn.2025-01.io.example:a",
                 "--namespace", "ram:1MiB", "--allow-host", kHost, "--subsystem", "nqn.2025-01.io.example:b",
                 "--namespace", "null:1MiB", "--allow-any-host", "--namespace", "null:2MiB"});
  ASSERT_EQ(config.subsystems.size(), 2u);
  const auto& [a, b] = std::tie(config.subsystems[0], config.subsystems[1]);
  EXPECT_EQ(a.namespaces.size(), 1u);
  EXPECT_EQ(a.namespaces[0].device.block_size, 4096u);
  EXPECT_EQ(a.allow_hosts.size(), 1u);
  EXPECT_FALSE(control::accepts_any_host(a));
  ASSERT_EQ(b.namespaces.size(), 2u);
  EXPECT_EQ(b.namespaces[0].nsid, 1u);
  EXPECT_EQ(b.namespaces[1].nsid, 2u);
  EXPECT_EQ(b.namespaces[0].device.block_size, 0u);
  EXPECT_TRUE(b.allow_hosts.empty());
  EXPECT_TRUE(control::accepts_any_host(b));
}

TEST(ServeOptions, RefusesWrongValuesAsUsageAndNamesTheFlag) {
  const struct {
    std::vector<std::string> words;
    const char* message;
  } kCases[] = {
      {{}, "no listener: add --listen 127.0.0.1:4420"},
      {{"--listen", "127.0.0.1:1"}, "has no namespace: add --namespace ram:1GiB"},
      {{"--listen", "here"}, "--listen: 'here' is not an address"},
      {{"--namespace", "ram:1GB"}, "--namespace 'ram:1GB': '1GB' is not a size"},
      {{"--namespace", "ram:1000"}, "--namespace 'ram:1000 B': the size 1000 is not a multiple"},
      {{"--subsystem", "x"}, "--subsystem 'x' is not an NQN"},
      {{"--subsystem="}, "--subsystem"},
      {{"--allow-host", "x"}, "--allow-host 'x' is not a host NQN"},
      {{"--block-size", "520"}, "--block-size '520': write 512 or 4096"},
      {{"--block-size", "512", "--block-size", "4096"}, "--block-size is given twice"},
      {{"--cores", "0,,1"}, "--cores '0,,1': write CPU numbers"},
      {{"--cores", "3-1"}, "--cores '3-1'"},
      {{"--cores", "1024"}, "--cores '1024'"},
      {{"--cores", "0,0"}, "--cores: core 0 is listed twice"},
      {{"--cores", "0", "--cores", "1"}, "--cores is given twice"},
      {{"--poll", "never"}, "--poll 'never': write adaptive or always"},
      {{"--poll", "always", "--poll", "adaptive"}, "--poll is given twice"},
      {{"--listen", "0.0.0.0:1", "--namespace", "ram:1MiB"},
       "list them with --allow-host HOSTNQN or say --allow-any-host"},
      {{"--listen", "127.0.0.1:1", "--namespace", "/dev/sdx"}, "'/dev/sdx' is a disk"},
  };
  for (const auto& [words, message] : kCases) {
    const auto options = parse(words);
    if (!options) {
      EXPECT_THAT(options.error(), HasSubstr(message));
      continue;
    }
    const auto config = serve_config(*options);
    ASSERT_FALSE(config.has_value()) << message;
    EXPECT_EQ(config.error().exit_code, 2) << message;
    EXPECT_THAT(config.error().text, HasSubstr(message));
  }
}

TEST(ServeOptions, TellsAllProblemsAtOnceAndNoFollowUps) {
  const auto config = serve_config(*parse({"--listen", "here", "--namespace", "there", "--poll", "never"}));
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(std::ranges::count(config.error().text, '\n'), 4) << config.error().text;  // three, and where to find help
}

TEST(ServeOptions, AFileExcludesTheFlags) {
  const auto options = parse({"--config", "/x.toml", "--listen", "127.0.0.1:1"});
  ASSERT_FALSE(options.has_value());
  EXPECT_THAT(options.error(), HasSubstr("--config"));
}

TEST(ServeOptions, AMissingFileIsAFailureNotUsage) {
  const auto config = serve_config(*parse({"--config", "/nonexistent/x.toml"}));
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().exit_code, 1);
  EXPECT_THAT(config.error().text, HasSubstr("/nonexistent/x.toml: "));
}

TEST(ServeOptions, ExplainMemoryAloneNeedsNoConfiguration) {
  EXPECT_TRUE(serve_config(*parse({"--explain-memory"})).has_value());
  EXPECT_FALSE(serve_config(*parse({"--explain-memory", "--poll", "never"})).has_value());
}

TEST(ServeOptions, HelpHasExamples) {
  CLI::App serve;
  ServeOptions options;
  add_serve_options(serve, options);
  EXPECT_THAT(serve.help(), HasSubstr("weft serve --listen 127.0.0.1:4420 --namespace ram:1GiB"));
}

}  // namespace
}  // namespace weft::app
