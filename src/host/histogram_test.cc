#include "host/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/prng.h"

namespace weft::host {
namespace {

TEST(Histogram, EveryValueLiesInItsBucketAndBucketsAdjoin) {
  for (size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
    ASSERT_EQ(Histogram::index_of(Histogram::end_of(i)), i);
    ASSERT_EQ(Histogram::index_of(Histogram::end_of(i) + 1), i + 1);
  }
}

TEST(Histogram, QuantilesAreWithinABucketOfTheExactOnes) {
  const uint64_t seed = 20;
  SCOPED_TRACE(seed);
  Prng prng{seed};
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 10000; ++i) {
    values.push_back(1000 + (uint64_t{1} << prng.below(30)) + prng.below(100000));
    histogram.add(values.back());
  }
  std::ranges::sort(values);
  for (const double fraction : {0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const uint64_t exact = values[size_t(std::ceil(fraction * 10000)) - 1];
    EXPECT_GE(histogram.quantile(fraction), exact);
    EXPECT_LE(double(histogram.quantile(fraction)), double(exact) * (1 + 1.0 / 32) + 1);
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, MergingIsAddingAll) {
  Histogram a, b, all;
  for (uint64_t i = 1; i < 5000; ++i) {
    (i % 3 == 0 ? a : b).add(i * i);
    all.add(i * i);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), all.count());
  EXPECT_EQ(a.mean(), all.mean());
  for (const double fraction : {0.1, 0.5, 0.99, 1.0}) EXPECT_EQ(a.quantile(fraction), all.quantile(fraction));
}

TEST(Histogram, AnEmptyOneGivesZeroes) {
  const Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.mean(), 0);
}

}  // namespace
}  // namespace weft::host
