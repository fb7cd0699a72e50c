#include "clamav/detection_alarm.h"

namespace lazaret::clamav {

void DetectionAlarm::StartSet(SteadyTime now, bool trusted) {
  before_ = {before_.scans / 2, before_.detections / 2};
  if (trusted) before_ = {before_.scans + after_.scans, before_.detections + after_.detections};
  after_ = {};
  since_ = now;
  armed_ = settings_.ratio > 0 && before_.scans > 0;
}

bool DetectionAlarm::Count(bool detected, SteadyTime now) {
  ++after_.scans;
  if (detected) ++after_.detections;
  if (now - since_ > settings_.window) armed_ = false;
  if (!detected || !armed_ || after_.detections < settings_.least) return false;
  const double share_before = static_cast<double>(before_.detections + 1) / static_cast<double>(before_.scans + 1);
  const double share_after = static_cast<double>(after_.detections) / static_cast<double>(after_.scans);
  if (share_after <= static_cast<double>(settings_.ratio) * share_before) return false;
  armed_ = false;
  return true;
}

}  // namespace lazaret::clamav
