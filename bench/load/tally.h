#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "load/answer.h"
#include "load/histogram.h"

namespace lazaret::bench {

// What one thread has seen in the measured part of a run.
struct Tally {
  Histogram latency;  // from the intended beginning to the last byte of the answer, of right answers
  Histogram service;  // from the real beginning
  Histogram allowed;  // latency of answers with another status that is allowed
  std::uint64_t sent_bytes = 0;
  std::map<std::string, std::uint64_t> defects;  // by kind: what must not be
  std::map<int, std::uint64_t> allowed_statuses;
  std::uint64_t missed = 0;                // of an open loop: not begun before the end
  std::uint64_t retried = 0;               // sent again, since a kept connection ended before any answer; at any time
  std::map<std::string, Verdict> answers;  // of each item, the last one; only when asked for

  void Merge(Tally&& other);
};

// What goes on at the moment; written by all threads.
struct Live {
  std::atomic<std::uint64_t> finished = 0;
  std::atomic<std::uint64_t> failed = 0;
  std::atomic<std::uint64_t> in_flight = 0;
  std::atomic<std::uint64_t> connected = 0;
  std::atomic<std::uint64_t> uploading = 0;  // bodies of which a part has been sent, but not all
  std::atomic<std::uint64_t> most_uploading = 0;
};

}  // namespace lazaret::bench
