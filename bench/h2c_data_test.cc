#include "bench/h2c_data.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft::bench {
namespace {

TEST(H2cData, CutsWhatAnR2tAsksForIntoPdusOfAtMostMaxh2cdata) {
  tcp::R2t r2t{};
  r2t.cccid = 3;
  r2t.ttag = 9;
  r2t.r2to = 4096;
  r2t.r2tl = 10000;
  std::vector<tcp::DataPdu> pdus;
  for_each_h2c_data(r2t, 4096, [&](const tcp::DataPdu& header) { pdus.push_back(header); });
  ASSERT_EQ(pdus.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(uint16_t{pdus[i].cccid}, 3);
    EXPECT_EQ(uint16_t{pdus[i].ttag}, 9);
    EXPECT_EQ(uint32_t{pdus[i].datao}, 4096 + 4096 * i);
    EXPECT_EQ(uint32_t{pdus[i].ch.plen}, 24 + uint32_t{pdus[i].datal});
    EXPECT_EQ(pdus[i].ch.flags, i == 2 ? tcp::kFlagLast : 0);
  }
  EXPECT_EQ(uint32_t{pdus[2].datal}, 10000 - 2 * 4096u);
}

}  // namespace
}  // namespace weft::bench
