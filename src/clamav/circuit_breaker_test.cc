#include "clamav/circuit_breaker.h"

#include <gtest/gtest.h>

namespace lazaret::clamav {
namespace {

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
  breaker.OnSlow();
  EXPECT_TRUE(breaker.is_closed());
  breaker.OnScanned();
  breaker.OnSlow();
  EXPECT_TRUE(breaker.is_closed());
  breaker.OnSlow();
  EXPECT_FALSE(breaker.is_closed());
}

TEST(CircuitBreaker, WaitsLongerAfterEachFailureUpToALimit) {
  CircuitBreaker breaker = Closed();
  breaker.OnRefused();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(250));
  breaker.OnRefused();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(500));
  for (int i = 0; i < 100; ++i) breaker.OnSlow();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(10'000));
  EXPECT_EQ(breaker.Pause(0), milliseconds(7'500));
  EXPECT_EQ(breaker.Pause(1), milliseconds(12'500));
  breaker.OnExamined();
  breaker.OnRefused();
  EXPECT_EQ(breaker.Pause(0.5), milliseconds(250));
}

}  // namespace
}  // namespace lazaret::clamav
