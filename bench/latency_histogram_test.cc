#include "bench/latency_histogram.h"

#include <gtest/gtest.h>

#include <memory>

namespace weft::bench {
namespace {

TEST(LatencyHistogram, IsRightToAHundredthEverywhere) {
  for (uint64_t value = 1; value < uint64_t{1} << 39; value = value * 5 / 4 + 1) {
    const auto histogram = std::make_unique<LatencyHistogram>();
    histogram->add(value, 1);
    EXPECT_NEAR(double(histogram->at(0.5)), double(value), double(value) * 0.01);
  }
}

TEST(LatencyHistogram, FindsPercentilesOfManyCommandsAtOnce) {
  LatencyHistogram histogram;
  histogram.add(1000, 9900);
  histogram.add(50'000, 99);
  histogram.add(7'000'000, 1);
  EXPECT_EQ(histogram.count(), 10'000u);
  EXPECT_NEAR(double(histogram.at(0.5)), 1000, 10);
  EXPECT_NEAR(double(histogram.at(0.99)), 1000, 10);
  EXPECT_NEAR(double(histogram.at(0.999)), 50'000, 500);
  EXPECT_NEAR(double(histogram.at(1)), 7'000'000, 70'000);
}

TEST(LatencyHistogram, TakesWhatIsTooLongAsItsLongest) {
  LatencyHistogram histogram;
  histogram.add(~uint64_t{0}, 1);
  EXPECT_GT(histogram.at(1), uint64_t{1} << 39);
  histogram.clear();
  EXPECT_EQ(histogram.count(), 0u);
}

}  // namespace
}  // namespace weft::bench
