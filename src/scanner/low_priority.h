#pragma once

namespace lazaret::scanner {

// While it lives, the calling process leaves processor and disk to others where it can: SCHED_BATCH (sched(7)) and the
// lowest best-effort I/O priority (ioprio_set(2)), the two that need no privilege to be given back. A nice value does:
// it is the server's to set.
class LowPriority {
 public:
  LowPriority();
  ~LowPriority();
  LowPriority(const LowPriority&) = delete;
  LowPriority& operator=(const LowPriority&) = delete;
};

}  // namespace lazaret::scanner
