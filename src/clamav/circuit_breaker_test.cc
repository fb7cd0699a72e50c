#include "clamav/circuit_breaker.h"

#include <gtest/gtest.h>

namespace lazaret::clamav {
namespace {

constexpr milliseconds kSlow{10'000};

CircuitBreaker Closed() {
  CircuitBreaker breaker;
  breaker.OnExamined();
  return breaker;
}

TEST(CircuitBreaker, IsOpenUntilTheServerWasExamined) {
  CircuitBreaker breaker;
  EXPECT_FALSE(breaker.is_closed());
  breaker.OnScanned();
  EXPECT_FALSE(breaker.is_closed());
  breaker.OnExamined();
  EXPECT_TRUE(breaker.is_closed());
}

TEST(CircuitBreaker, OpensWhenARefusedCheckSaysSo) {
  CircuitBreaker breaker = Closed();
  breaker.OnRefused();
  EXPECT_FALSE(breaker.is_closed());
}

TEST(CircuitBreaker, OpensAfterScanFailuresInARow) {
  CircuitBreaker breaker = Closed();
  for (int round = 0; round < 5; ++round) {
    breaker.OnScanFailed();
    breaker.OnScanFailed();
    EXPECT_TRUE(breaker.is_closed());
    breaker.OnScanned();
  }
  breaker.OnScanFailed();
  breaker.OnScanFailed();
  breaker.OnScanFailed();
  EXPECT_FALSE(breaker.is_closed());
}

TEST(CircuitBreaker, ForgivesOneSlowCheck) {
  CircuitBreaker breaker = Closed();
  breaker.OnSlow(kSlow);
  EXPECT_TRUE(breaker.is_closed());
  breaker.OnScanned();
  breaker.OnSlow(kSlow);
  EXPECT_TRUE(breaker.is_closed());
  breaker.OnSlow(kSlow);
  EXPECT_FALSE(breaker.is_closed());
}

TEST(CircuitBreaker, OpensOnlyAfterALongSilence) {
  CircuitBreaker breaker = Closed();
  for (int i = 0; i < 6; ++i) breaker.OnSlow(milliseconds(3'000));
  breaker.OnSlow(milliseconds(1'999));
  EXPECT_TRUE(breaker.is_closed());
  breaker.OnSlow(milliseconds(1));
  EXPECT_FALSE(breaker.is_closed());
  breaker.OnExamined();
  breaker.OnSlow(milliseconds(60'000));
  EXPECT_TRUE(breaker.is_closed()) << "one check is not enough, however long it was";
  breaker.OnExamined();
  breaker.OnSlow(milliseconds(60'000));
  EXPECT_TRUE(breaker.is_closed()) << "it was heard in between";
  breaker.OnSlow(milliseconds(0));
  EXPECT_FALSE(breaker.is_closed());
}

TEST(CircuitBreaker, CountsScansThatFailThoughExaminationsGoWell) {
  CircuitBreaker breaker = Closed();
  breaker.OnScanFailed();
  breaker.OnExamined();
  breaker.OnScanFailed();
  breaker.OnExamined();
  EXPECT_TRUE(breaker.is_closed());
  breaker.OnScanFailed();
  EXPECT_FALSE(breaker.is_closed());
  breaker.OnExamined();
  breaker.OnScanFailed();
  breaker.OnScanFailed();
  EXPECT_TRUE(breaker.is_closed()) << "after a pause it begins anew";
}

TEST(CircuitBreaker, WaitsLongerAfterEachFailureUpToALimit) {
  CircuitBreaker breaker = Closed();
  breaker.OnRefused();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(250));
  breaker.OnRefused();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(500));
  for (int i = 0; i < 100; ++i) breaker.OnSlow(kSlow);
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(10'000));
  EXPECT_EQ(breaker.Pause(0), milliseconds(7'500));
  EXPECT_EQ(breaker.Pause(1), milliseconds(12'500));
  breaker.OnExamined();
  breaker.OnRefused();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(250));
}

}  // namespace
}  // namespace lazaret::clamav
