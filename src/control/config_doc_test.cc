// Holds docs/configuration.md to the code: its examples parse, and it describes exactly the keys that there are.
#include "control/config_keys.h"
#include "control/config_toml.h"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace weft::control {
namespace {

std::string document() {
  std::ifstream file{WEFT_SOURCE_DIR "/docs/configuration.md"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// The texts between "```toml" and "```".
std::vector<std::string> examples_in(std::string_view text) {
  static constexpr std::string_view kOpen = "```toml\n";
  std::vector<std::string> examples;
  for (size_t open = text.find(kOpen); open != std::string_view::npos; open = text.find(kOpen, open + 1)) {
    const size_t begin = open + kOpen.size();
    examples.emplace_back(text.substr(begin, text.find("```", begin) - begin));
  }
  return examples;
}

/// The first cells of the table below the heading that starts with `heading`, without their backquotes.
std::set<std::string> keys_below(const std::string& text, const std::string& heading) {
  std::set<std::string> keys;
  const size_t begin = text.find("\n### `" + heading + "`");
  const size_t end = text.find("\n#", begin + 1);
  for (size_t row = text.find("\n| `", begin); row < end; row = text.find("\n| `", row + 1)) {
    keys.insert(text.substr(row + 4, text.find('`', row + 4) - row - 4));
  }
  return keys;
}

TEST(ConfigurationDocument, ItsExamplesAreValid) {
  const auto examples = examples_in(document());
  ASSERT_EQ(examples.size(), 2u);
  for (const std::string& example : examples) {
    const auto config = parse_config(example);
    EXPECT_TRUE(config.has_value()) << to_text(config.error()[0], "docs/configuration.md example") << "\n" << example;
  }
}

TEST(ConfigurationDocument, DescribesExactlyTheKeysThereAre) {
  static constexpr struct {
    const char* heading;
    std::span<const std::string_view> keys;
  } kTables[] = {
      {"[target]", kTargetKeys},
      {"[[listener]]", kListenerKeys},
      {"[[subsystem]]", kSubsystemKeys},
      {"[[subsystem.namespace]]", kNamespaceKeys},
  };
  const std::string text = document();
  for (const auto& [heading, keys] : kTables) {
    EXPECT_EQ(keys_below(text, heading), std::set<std::string>(keys.begin(), keys.end())) << heading;
  }
}

TEST(ConfigurationDocument, GivesTheDefaultsOfTheCode) {
  const std::string text = document();
  EXPECT_NE(text.find("3600 | " + std::to_string(Limits{}.io_timeout_ms / 1000) + " |"), std::string::npos);
  EXPECT_NE(text.find("1048576 | " + std::to_string(Limits{}.connections) + " |"), std::string::npos);
  EXPECT_NE(text.find("`connections_max` | " + std::to_string(Limits{}.connections_per_peer) + ","), std::string::npos);
  EXPECT_NE(text.find("1 to " + std::to_string(Limits{}.namespaces) + " | the lowest free one"), std::string::npos);
}

}  // namespace
}  // namespace weft::control
