#include "load/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace lazaret::bench {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

const SteadyTime kStart{std::chrono::hours(1)};

TEST(Arrivals, ThreadsTogetherAreEvenlySpaced) {
  std::vector<nanoseconds::rep> times;
  for (unsigned share = 0; share < 3; ++share) {
    Arrivals arrivals(1000, Spacing::kEven, share, 3, 1);
    for (int i = 0; i < 4; ++i) times.push_back(arrivals.Next().count());
  }
  std::ranges::sort(times);
  ASSERT_EQ(times.size(), 12u);
  for (std::size_t i = 0; i < times.size(); ++i)
    EXPECT_NEAR(static_cast<double>(times[i]), static_cast<double>(i) * 1e6, 1);
}

TEST(Arrivals, DoNotDriftFromTheRate) {
  Arrivals arrivals(3, Spacing::kEven, 0, 1, 1);
  nanoseconds last{};
  for (int i = 0; i <= 3'000'000; ++i) last = arrivals.Next();
  EXPECT_NEAR(std::chrono::duration<double>(last).count(), 1e6, 1e-6);
}

TEST(Arrivals, PoissonHasTheRateTheSpreadAndTheSeed) {
  Arrivals arrivals(100, Spacing::kPoisson, 0, 2, 5), same(100, Spacing::kPoisson, 0, 2, 5),
      other(100, Spacing::kPoisson, 1, 2, 5);
  constexpr int kCount = 100'000;
  nanoseconds before{}, now{};
  double squares = 0;
  bool differs = false;
  for (int i = 0; i < kCount; ++i) {
    now = arrivals.Next();
    ASSERT_GE(now, before);
    EXPECT_EQ(same.Next(), now);
    differs = differs || other.Next() != now;
    const double gap = std::chrono::duration<double>(now - before).count();
    squares += gap * gap;
    before = now;
  }
  // Half of the rate: 50 a second. Of an exponential distribution the mean square is twice the squared mean.
  EXPECT_NEAR(std::chrono::duration<double>(now).count(), kCount / 50.0, kCount / 50.0 * 0.02);
  EXPECT_NEAR(squares / kCount, 2 / (50.0 * 50.0), 0.0001);
  EXPECT_TRUE(differs);
}

TEST(Pacer, OfAClosedLoopGivesTurnsAtOnceUntilTheEnd) {
  RequestBudget any(0);
  Pacer pacer(kStart, kStart + milliseconds(10), std::nullopt, any);
  const auto turn = pacer.Next(kStart + milliseconds(9));
  ASSERT_TRUE(turn);
  EXPECT_EQ(turn->intended, kStart + milliseconds(9));
  EXPECT_FALSE(pacer.Next(kStart + milliseconds(10)));
  EXPECT_FALSE(pacer.TakeMissed());
}

TEST(Pacer, OfAnOpenLoopKeepsTheIntendedTimesOfALateClient) {
  RequestBudget any(0);
  Pacer pacer(kStart, kStart + milliseconds(10), Arrivals(1000, Spacing::kEven, 0, 1, 1), any);
  std::vector<milliseconds::rep> intended;
  // The client was busy for four milliseconds with its first request.
  for (const int now : {0, 4, 4, 4}) {
    const auto turn = pacer.Next(kStart + milliseconds(now));
    ASSERT_TRUE(turn);
    intended.push_back(std::chrono::round<milliseconds>(turn->intended - kStart).count());
  }
  EXPECT_THAT(intended, ElementsAre(0, 1, 2, 3));
}

TEST(Pacer, CountsWhatShouldHaveBegunAndDidNot) {
  RequestBudget any(0);
  Pacer pacer(kStart, kStart + milliseconds(10), Arrivals(1000, Spacing::kEven, 0, 1, 1), any);
  ASSERT_TRUE(pacer.Next(kStart));
  EXPECT_FALSE(pacer.Next(kStart + milliseconds(11)));
  int missed = 0;
  while (const auto turn = pacer.TakeMissed()) {
    ++missed;
    EXPECT_LT(turn->intended, kStart + milliseconds(10));
  }
  EXPECT_EQ(missed, 9);
}

TEST(Pacer, NothingBeginsAtTheEnd) {
  RequestBudget any(0);
  Pacer pacer(kStart, kStart + milliseconds(2), Arrivals(1000, Spacing::kEven, 0, 1, 1), any);
  EXPECT_TRUE(pacer.Next(kStart));
  EXPECT_TRUE(pacer.Next(kStart));
  EXPECT_FALSE(pacer.Next(kStart));
  EXPECT_FALSE(pacer.Next(kStart));
}

TEST(Pacer, SharesABudgetWithOthers) {
  RequestBudget three(3);
  const SteadyTime never = SteadyTime::max();
  Pacer one(kStart, never, std::nullopt, three), other(kStart, never, std::nullopt, three);
  EXPECT_EQ(one.Next(kStart)->number, 0u);
  EXPECT_EQ(other.Next(kStart)->number, 1u);
  EXPECT_EQ(one.Next(kStart)->number, 2u);
  EXPECT_FALSE(other.Next(kStart));
  EXPECT_FALSE(one.Next(kStart));
}

}  // namespace
}  // namespace lazaret::bench
