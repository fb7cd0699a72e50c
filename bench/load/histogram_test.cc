#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace lazaret::bench {
namespace {

nanoseconds::rep Recorded(nanoseconds::rep value) {
  Histogram histogram;
  histogram.Record(nanoseconds(value));
  histogram.Record(nanoseconds::max());
  return histogram.Quantile(0.5).count();
}

TEST(Histogram, KeepsSmallTimesExactly) {
  for (nanoseconds::rep value = 0; value < 256; ++value) EXPECT_EQ(Recorded(value), value);
}

TEST(Histogram, IsAtMostOnePartIn128TooHighAroundEachPowerOfTwo) {
  for (unsigned bit = 8; bit < 62; ++bit) {
    for (const nanoseconds::rep off : {-1, 0, 1}) {
      const nanoseconds::rep value = (nanoseconds::rep{1} << bit) + off;
      EXPECT_GE(Recorded(value), value);
      EXPECT_LE(Recorded(value) - value, value / 128 + 1) << value;
    }
  }
}

TEST(Histogram, QuantilesMatchSortedSamples) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> times(13, 2);
  Histogram histogram;
  std::vector<double> sorted;
  for (int i = 0; i < 20'000; ++i) {
    const double value = std::floor(times(random));
    sorted.push_back(value);
    histogram.Record(nanoseconds(static_cast<nanoseconds::rep>(value)));
  }
  std::ranges::sort(sorted);
  for (const double share : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = sorted[static_cast<std::size_t>(std::ceil(share * 20'000)) - 1];
    const auto read = static_cast<double>(histogram.Quantile(share).count());
    EXPECT_GE(read, exact) << share;
    EXPECT_LE(read, exact * (1 + 1.0 / 128) + 1) << share;
  }
  EXPECT_EQ(histogram.max().count(), static_cast<nanoseconds::rep>(sorted.back()));
}

TEST(Histogram, NeverReadsMoreThanTheLongestTime) {
  Histogram histogram;
  histogram.Record(nanoseconds(1'000'001));
  EXPECT_EQ(histogram.Quantile(1).count(), 1'000'001);
  EXPECT_EQ(histogram.Quantile(0).count(), 1'000'001);
}

TEST(Histogram, MergedIsAsIfRecordedTogether) {
  Histogram one, other, both;
  for (int i = 1; i <= 1000; ++i) {
    (i % 3 == 0 ? one : other).Record(nanoseconds(i * 1000));
    both.Record(nanoseconds(i * 1000));
  }
  one.Merge(other);
  EXPECT_EQ(one.count(), 1000u);
  EXPECT_EQ(one.max(), both.max());
  EXPECT_EQ(one.Mean(), nanoseconds(500'500));
  for (const double share : {0.1, 0.5, 0.99}) EXPECT_EQ(one.Quantile(share), both.Quantile(share));
}

TEST(Histogram, ANegativeTimeIsZero) {
  Histogram histogram;
  histogram.Record(nanoseconds(-5));
  EXPECT_EQ(histogram.Quantile(1).count(), 0);
  EXPECT_EQ(histogram.Mean().count(), 0);
}

TEST(Histogram, IsZeroWhenEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.99).count(), 0);
  EXPECT_EQ(histogram.Mean().count(), 0);
}

}  // namespace
}  // namespace lazaret::bench
