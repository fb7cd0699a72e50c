#include "clamav/avoidance.h"

#include <algorithm>

namespace lazaret::clamav {

void Avoidance::OnError(SteadyTime now) {
  errors_ = std::min(errors_ + 1, kMostErrors);
  // Scans that were on their way, or for which there was no other server, do not prolong it.
  if (errors_ < kMostErrors || now < until_) return;
  until_ = now + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
}

void Avoidance::OnBusy(SteadyTime now) { until_ = std::max(until_, now + kFirstPause); }

void Avoidance::OnVerdict() { *this = {}; }

bool Avoidance::Holds(SteadyTime now, bool is_in_use) const {
  return now < until_ || (errors_ == kMostErrors && is_in_use);
}

}  // namespace lazaret::clamav
