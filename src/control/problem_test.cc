#include "control/problem.h"

#include <gtest/gtest.h>

namespace weft::control {
namespace {

TEST(Problem, SaysFileLineAndColumn) {
  EXPECT_EQ(to_text({{3, 7}, "this is wrong"}, "a.toml"), "a.toml:3:7: this is wrong");
}

TEST(Problem, WithoutAPlaceIsOnlyItsText) { EXPECT_EQ(to_text({{}, "--listen: wrong"}, "a.toml"), "--listen: wrong"); }

TEST(Problem, ShownTextCannotWriteToATerminal) { EXPECT_EQ(shown("a\x1b[2J\n"), "'a\\x1b[2J\\x0a'"); }

TEST(Problem, ShownTextIsCut) { EXPECT_EQ(shown(std::string(100, 'x')), "'" + std::string(80, 'x') + "...'"); }

}  // namespace
}  // namespace weft::control
