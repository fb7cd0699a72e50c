#include "clamav/avoidance.h"

#include <gtest/gtest.h>

namespace lazaret::clamav {
namespace {

constexpr SteadyTime kStart{std::chrono::hours{1}};
constexpr milliseconds kTick{1};

Avoidance After(int errors) {
  Avoidance avoidance;
  for (int i = 0; i < errors; ++i) avoidance.OnError(kStart);
  return avoidance;
}

TEST(Avoidance, BeginsAfterErrorsInARow) {
  EXPECT_FALSE(Avoidance().Holds(kStart, true));
  EXPECT_FALSE(After(Avoidance::kMostErrors - 1).Holds(kStart, true));
  EXPECT_TRUE(After(Avoidance::kMostErrors).Holds(kStart, false));
  Avoidance avoidance;
  for (int i = 0; i < 5; ++i) {
    for (int error = 1; error < Avoidance::kMostErrors; ++error) avoidance.OnError(kStart);
    avoidance.OnVerdict();
  }
  EXPECT_FALSE(avoidance.Holds(kStart, true));
}

TEST(Avoidance, EndsByItselfForOneScanAtATime) {
  const Avoidance avoidance = After(Avoidance::kMostErrors);
  const SteadyTime end = kStart + Avoidance::kFirstPause;
  EXPECT_TRUE(avoidance.Holds(end - kTick, false));
  EXPECT_FALSE(avoidance.Holds(end, false));
  EXPECT_TRUE(avoidance.Holds(end, true)) << "the one that tries it has not ended";
}

TEST(Avoidance, EndsForAllWithAVerdict) {
  Avoidance avoidance = After(Avoidance::kMostErrors);
  avoidance.OnVerdict();
  EXPECT_FALSE(avoidance.Holds(kStart, true));
  EXPECT_FALSE(avoidance.Holds(kStart, false));
}

TEST(Avoidance, LastsLongerEachTimeUpToALimit) {
  Avoidance avoidance = After(Avoidance::kMostErrors);
  SteadyTime now = kStart;
  for (milliseconds pause = Avoidance::kFirstPause; pause < Avoidance::kLongestPause; pause *= 2) {
    EXPECT_TRUE(avoidance.Holds(now + pause - kTick, false));
    now += pause;
    EXPECT_FALSE(avoidance.Holds(now, false));
    avoidance.OnError(now);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(avoidance.Holds(now + Avoidance::kLongestPause - kTick, false));
    now += Avoidance::kLongestPause;
    EXPECT_FALSE(avoidance.Holds(now, false));
    avoidance.OnError(now);
  }
  avoidance.OnVerdict();
  for (int i = 0; i < Avoidance::kMostErrors; ++i) avoidance.OnError(now);
  EXPECT_FALSE(avoidance.Holds(now + Avoidance::kFirstPause, false));
}

TEST(Avoidance, IsNotProlongedByErrorsMeanwhile) {
  Avoidance avoidance = After(Avoidance::kMostErrors + 10);
  avoidance.OnError(kStart + Avoidance::kFirstPause - kTick);
  EXPECT_FALSE(avoidance.Holds(kStart + Avoidance::kFirstPause, false));
}

TEST(Avoidance, OfABusyServerIsShort) {
  Avoidance avoidance;
  avoidance.OnBusy(kStart);
  EXPECT_TRUE(avoidance.Holds(kStart + Avoidance::kFirstPause - kTick, false));
  EXPECT_FALSE(avoidance.Holds(kStart + Avoidance::kFirstPause, true)) << "it has shown nothing else";
  avoidance.OnBusy(kStart);
  avoidance.OnVerdict();
  EXPECT_FALSE(avoidance.Holds(kStart, false));
}

TEST(Avoidance, OfABusyServerDoesNotShortenAnother) {
  Avoidance avoidance = After(Avoidance::kMostErrors);
  avoidance.OnError(kStart + Avoidance::kFirstPause);  // the second time: twice as long
  avoidance.OnBusy(kStart + Avoidance::kFirstPause);
  EXPECT_TRUE(avoidance.Holds(kStart + 3 * Avoidance::kFirstPause - kTick, false));
  EXPECT_FALSE(avoidance.Holds(kStart + 3 * Avoidance::kFirstPause, false));
}

}  // namespace
}  // namespace lazaret::clamav
