#include "wire/fabrics/nqn.h"

#include "wire/fabrics/connect.h"

#include <gtest/gtest.h>
#include <string>

namespace weft::fabrics {
namespace {

TEST(Nqn, BothFormsAreValid) {
  for (const char* nqn : {"nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de349", kDiscoveryNqn,
                          "nqn.2024-01.io.example:sub1", "nqn.2024-12.io.example",
                          "nqn.2024-01.io.example:\xc3\xbc"
                          "ber \xf0\x9f\xa7\xb5"}) {
    EXPECT_TRUE(is_valid_nqn(nqn)) << nqn;
  }
}

TEST(Nqn, MalformedNamesAreInvalid) {
  for (const char* nqn : {"", "nqn", "nqn.", "iqn.2024-01.io.example:a", "NQN.2024-01.io.example:a",
                          "nqn.2024-00.io.example", "nqn.2024-13.io.example", "nqn.202x-01.io.example",
                          "nqn.2024_01.io.example", "nqn.2024-01", "nqn.2024-01.", "nqn.2024-01.:a", "nqn.2024-01..a",
                          "nqn.2014-08.org.nvmexpress:uuid:", "nqn.2014-08.org.nvmexpress:uuid:0f01fb42"}) {
    EXPECT_FALSE(is_valid_nqn(nqn)) << nqn;
  }
}

TEST(Nqn, AtMost223BytesAreValid) {
  std::string nqn = "nqn.2024-01.io.example:";
  nqn.append(223 - nqn.size(), 'x');
  EXPECT_TRUE(is_valid_nqn(nqn));
  nqn += 'x';
  EXPECT_FALSE(is_valid_nqn(nqn));
}

TEST(Nqn, WhatIsNotPrintableUtf8IsInvalid) {
  const std::string base = "nqn.2024-01.io.example:";
  for (const std::string_view tail :
       {std::string_view("\n"), std::string_view("\0", 1), std::string_view("\x7f"), std::string_view("\xc2\x80"),
        std::string_view("\x80"), std::string_view("\xc3"), std::string_view("\xc3("), std::string_view("\xc0\xaf"),
        std::string_view("\xe0\x80\xaf"), std::string_view("\xed\xa0\x80"), std::string_view("\xf4\x90\x80\x80"),
        std::string_view("\xff")}) {
    EXPECT_FALSE(is_valid_nqn(base + std::string(tail))) << testing::PrintToString(tail);
  }
}

}  // namespace
}  // namespace weft::fabrics
