#include "scanner/low_priority.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lazaret::scanner {
namespace {

// linux/ioprio.h, which the C library does not wrap.
constexpr int kWhoProcess = 1;
constexpr int kClassShift = 13;
constexpr int kNoClass = 0;
constexpr int kBestEffort = 2;
constexpr int kLowest = 7;

void SetIoPriority(int io_class, int level) {
  ::syscall(SYS_ioprio_set, kWhoProcess, 0, io_class << kClassShift | level);
}

void SetPolicy(int policy) {
  const sched_param none{};
  ::sched_setscheduler(0, policy, &none);
}

}  // namespace

LowPriority::LowPriority() {
  SetPolicy(SCHED_BATCH);
  SetIoPriority(kBestEffort, kLowest);
}

LowPriority::~LowPriority() {
  SetPolicy(SCHED_OTHER);
  SetIoPriority(kNoClass, 0);
}

}  // namespace lazaret::scanner
