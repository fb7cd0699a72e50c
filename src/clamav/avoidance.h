#pragma once

#include "base/clock.h"

namespace lazaret::clamav {

// Whether other servers are to be preferred to one that is there, but of little use now: what it is given fails at
// once, so that it is always the least loaded. Ends by itself: after a pause one scan at a time tries whether it does
// better. Not thread-safe.
class Avoidance {
 public:
  // Scans in a row that end badly before it is avoided; some end badly because of their content.
  static constexpr int kMostErrors = 3;
  static constexpr milliseconds kFirstPause{1'000};  // doubled each time that it errs again
  static constexpr milliseconds kLongestPause{60'000};

  // A scan ended without a verdict.
  void OnError(SteadyTime now);
  // It did not accept a connection in time.
  void OnBusy(SteadyTime now);
  // A scan ended with a verdict.
  void OnVerdict();
  // `is_in_use`: it has a scan of ours.
  bool Holds(SteadyTime now, bool is_in_use) const;

 private:
  int errors_ = 0;  // in a row
  milliseconds pause_ = kFirstPause;
  SteadyTime until_ = SteadyTime::min();
};

}  // namespace lazaret::clamav
