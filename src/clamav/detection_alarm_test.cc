#include "clamav/detection_alarm.h"

#include <gtest/gtest.h>

namespace lazaret::clamav {
namespace {

constexpr DetectionAlarmSettings kSettings{.ratio = 10, .least = 5, .window = seconds(60)};

// How often it went off.
int Count(DetectionAlarm& alarm, int clean, int detected, SteadyTime now = {}) {
  int alarms = 0;
  for (int i = 0; i < clean; ++i) alarms += alarm.Count(false, now) ? 1 : 0;
  for (int i = 0; i < detected; ++i) alarms += alarm.Count(true, now) ? 1 : 0;
  return alarms;
}

TEST(DetectionAlarm, GoesOffOnceWhenTheShareJumps) {
  DetectionAlarm alarm(kSettings);
  alarm.StartSet({}, true);
  EXPECT_EQ(Count(alarm, 990, 9), 0);
  alarm.StartSet({}, true);
  // 1 % before: the share must be above 10 %.
  EXPECT_EQ(Count(alarm, 90, 10), 0);
  EXPECT_EQ(Count(alarm, 0, 1), 1);
  EXPECT_EQ(Count(alarm, 0, 50), 0) << "once for each set";
  EXPECT_EQ(alarm.before().scans, 999u);
  EXPECT_EQ(alarm.before().detections, 9u);
}

TEST(DetectionAlarm, WantsEnoughDetections) {
  DetectionAlarm alarm(kSettings);
  Count(alarm, 999, 0);
  alarm.StartSet({}, true);
  EXPECT_EQ(Count(alarm, 0, 4), 0);
  EXPECT_EQ(Count(alarm, 0, 1), 1);
}

TEST(DetectionAlarm, IsQuietWhenTooLittleIsKnownOfBefore) {
  DetectionAlarm alarm(kSettings);
  alarm.StartSet({}, true);
  EXPECT_EQ(Count(alarm, 0, 100), 0) << "the first set";
  DetectionAlarm other(kSettings);
  Count(other, 8, 0);
  other.StartSet({}, true);
  EXPECT_EQ(Count(other, 0, 100), 0) << "one of nine before would be 11 %";
}

TEST(DetectionAlarm, EndsItsWatchAfterAWhile) {
  DetectionAlarm alarm(kSettings);
  Count(alarm, 999, 0);
  alarm.StartSet({}, true);
  EXPECT_EQ(Count(alarm, 0, 4), 0);
  DetectionAlarm late = alarm;
  EXPECT_EQ(Count(alarm, 0, 1, SteadyTime(seconds(60))), 1);
  EXPECT_EQ(Count(late, 0, 100, SteadyTime(seconds(60) + milliseconds(1))), 0);
}

TEST(DetectionAlarm, CanBeOff) {
  DetectionAlarm alarm({.ratio = 0, .least = 1, .window = seconds(60)});
  Count(alarm, 999, 0);
  alarm.StartSet({}, true);
  EXPECT_EQ(Count(alarm, 0, 100), 0);
}

TEST(DetectionAlarm, ForgetsASetThatWasNoGood) {
  DetectionAlarm alarm(kSettings);
  Count(alarm, 1000, 0);
  alarm.StartSet({}, true);
  Count(alarm, 0, 1000);
  alarm.StartSet({}, false);
  EXPECT_EQ(alarm.before().detections, 0u);
  EXPECT_EQ(alarm.before().scans, 500u);
}

}  // namespace
}  // namespace lazaret::clamav
