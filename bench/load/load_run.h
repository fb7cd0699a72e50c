#pragma once

#include "load/plan.h"
#include "load/tally.h"

namespace lazaret::bench {

struct Outcome {
  Tally tally;
  double seconds = 0;  // from the first measured moment to the last answer, or to the end of the run when that is later
};

// Carries a plan out on threads of its own; returns when the last request has ended.
Outcome Run(const Plan& plan);

}  // namespace lazaret::bench
