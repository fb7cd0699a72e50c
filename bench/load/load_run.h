#pragma once

#include "load/plan.h"
#include "load/tally.h"

namespace lazaret::bench {

struct Outcome {
  Tally tally;
  double seconds = 0;  // from the first measured moment to the last answer, or to the end of the run when that is later
  double cpu_seconds = 0;  // of our own threads, warm-up included
  // The share of its time that the busiest of them computed. Near 1 the run measures us and not the server.
  double busy = 0;
  std::uint64_t most_uploading = 0;  // bodies under way at once
};

// Carries a plan out on threads of its own; returns when the last request has ended.
Outcome Run(const Plan& plan);

}  // namespace lazaret::bench
