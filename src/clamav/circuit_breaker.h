#pragma once

#include "base/clock.h"

namespace lazaret::clamav {

struct BreakerSettings {
  int scan_failures = 3;  // in a row that open it
  // In a row, and as long in all, that open it; a busy clamd accepts no connection and answers no PING for a while.
  int slow_checks = 2;
  milliseconds silence{20'000};
  milliseconds first_pause{250};  // between attempts to close it; doubled after each
  milliseconds longest_pause{10'000};
};

// Decides whether a server may be used, from what is reported about it. Open at first. Not thread-safe.
class CircuitBreaker {
 public:
  explicit CircuitBreaker(BreakerSettings settings = {}) : settings_(settings) {}

  bool is_closed() const { return closed_; }
  // A full examination went well: the only thing that closes it. Of one that is closed it shows nothing about scans.
  void OnExamined();
  // A check, or an examination, went badly.
  void OnRefused();
  // A check, or an examination, was not answered in time: after so long.
  void OnSlow(milliseconds silence);
  void OnScanned();
  // A scan ended in a way that clamd's scans do not end, whatever the content.
  void OnScanFailed();
  // How long to wait before the next examination while it is open; `spread`, 0 to 1, keeps many nodes from coming
  // back at the same moment.
  milliseconds Pause(double spread) const;

 private:
  const BreakerSettings settings_;
  bool closed_ = false;
  int scan_failures_ = 0;
  int slow_checks_ = 0;
  milliseconds silence_{0};
  int failed_examinations_ = 0;
};

}  // namespace lazaret::clamav
