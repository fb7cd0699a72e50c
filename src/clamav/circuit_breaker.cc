#include "clamav/circuit_breaker.h"

#include <algorithm>

namespace lazaret::clamav {

void CircuitBreaker::OnExamined() {
  if (!closed_) scan_failures_ = 0;
  closed_ = true;
  slow_checks_ = 0;
  silence_ = {};
  failed_examinations_ = 0;
}

void CircuitBreaker::OnRefused() {
  if (!closed_) ++failed_examinations_;
  closed_ = false;
}

void CircuitBreaker::OnSlow(milliseconds silence) {
  if (!closed_) return OnRefused();
  silence_ += silence;
  if (++slow_checks_ >= settings_.slow_checks && silence_ >= settings_.silence) OnRefused();
}

void CircuitBreaker::OnScanned() {
  scan_failures_ = 0;
  slow_checks_ = 0;
  silence_ = {};
}

void CircuitBreaker::OnScanFailed() {
  if (closed_ && ++scan_failures_ >= settings_.scan_failures) OnRefused();
}

milliseconds CircuitBreaker::Pause(double spread) const {
  const int doublings = std::min(failed_examinations_, 20);
  const milliseconds pause = std::min(settings_.first_pause * (1 << doublings), settings_.longest_pause);
  // From three quarters to five quarters of it.
  return std::chrono::floor<milliseconds>(pause * (0.75 + spread / 2));
}

}  // namespace lazaret::clamav
