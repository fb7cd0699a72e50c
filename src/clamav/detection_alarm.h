#pragma once

#include <cstdint>

#include "base/clock.h"

namespace lazaret::clamav {

struct DetectionAlarmSettings {
  std::uint64_t ratio = 10;                     // of the rates of detections after and before a change; 0: no alarm
  std::uint64_t least = 20;                     // detections
  milliseconds window = std::chrono::hours(1);  // after a change of the set
};

// What was judged with one set. Unscannable contents count as neither.
struct DetectionCounts {
  std::uint64_t scans = 0;
  std::uint64_t detections = 0;
};

// Goes off, once for each change of the signature set, when the new set finds far more than those before it did: as
// many detections as `least`, and more than `ratio` times the share of contents of before. What came before counts as
// one detection more than there was, so that a short or quiet time before a change raises no alarm. Not thread-safe.
class DetectionAlarm {
 public:
  explicit DetectionAlarm(DetectionAlarmSettings settings) : settings_(settings) {}

  // Another set is in use from now on. What the one before it found is forgotten slowly, by half at each change; at
  // once when it was not `trusted`.
  void StartSet(SteadyTime now, bool trusted);
  // Counts one finished scan; true when the alarm goes off.
  bool Count(bool detected, SteadyTime now);

  const DetectionCounts& before() const { return before_; }
  const DetectionCounts& after() const { return after_; }

 private:
  const DetectionAlarmSettings settings_;
  DetectionCounts before_;
  DetectionCounts after_;
  SteadyTime since_{};
  bool armed_ = false;
};

}  // namespace lazaret::clamav
