#include "app/config_check.h"

#include "control/config_toml.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>

namespace weft::app {
namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_code;
  std::string out;
  std::string errors;
};

Outcome check(const std::string& file) {
  std::ostringstream out, errors;
  const int exit_code = run_config_check({file}, out, errors);
  return {exit_code, out.str(), errors.str()};
}

std::string file_with(const std::string& name, std::string_view text) {
  std::string path = testing::TempDir() + "weft_config_check_" + name;
  std::ofstream{path} << text;
  return path;
}

TEST(ConfigCheck, AGoodFileIsSummedUp) {
  const std::string path =
      file_with("good.toml",
                "[[listener]]\naddress = \"127.0.0.1:4420\"\n[[subsystem]]\nnqn = \"nqn.2025-01.io.example:a\"\n"
                "[[subsystem.namespace]]\ndevice = \"ram:1GiB\"\n");
  const Outcome outcome = check(path);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.errors, "");
  EXPECT_EQ(outcome.out, path +
                             ": ok\n  listener 127.0.0.1:4420\n  subsystem nqn.2025-01.io.example:a: any host\n"
                             "    namespace 1: ram:1 GiB\n");
}

TEST(ConfigCheck, ABadFileGivesOneLineForEachProblem) {
  const std::string path =
      file_with("bad.toml", "[[listener]]\naddress = \"here\"\nport = 1\n[[subsystem]]\nnamespace = []\n");
  const Outcome outcome = check(path);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.errors, HasSubstr(path + ":2:11: 'here' is not an address"));
  EXPECT_THAT(outcome.errors, HasSubstr(path + ":3:1: unknown key 'port'"));
  EXPECT_THAT(outcome.errors, HasSubstr(path + ":4:"));
}

TEST(ConfigCheck, SaysWhyAFileCannotBeRead) {
  EXPECT_EQ(check("/nonexistent.toml").exit_code, 1);
  EXPECT_THAT(check("/nonexistent.toml").errors, HasSubstr("/nonexistent.toml: "));
  EXPECT_THAT(check(testing::TempDir()).errors, HasSubstr("this is a folder"));
  const std::string huge = file_with("huge.toml", std::string(control::kConfigBytesMax + 10, '#'));
  EXPECT_THAT(check(huge).errors, HasSubstr("more than"));
}

}  // namespace
}  // namespace weft::app
