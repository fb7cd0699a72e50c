#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"

// What can be learnt about other processes from outside (proc(5)).
namespace lazaret::tests {

// How long any wait of a test may take. It only ever passes in a test that fails, and sanitizers are slow.
inline constexpr seconds kPatience{60};

std::vector<pid_t> ChildrenOf(pid_t pid);

// Private and shared pages of its own in memory (VmRSS), in bytes; 0 when the process has gone.
std::uint64_t ResidentBytes(pid_t pid);

// What all its threads have used so far, in steps of the kernel's clock (10 ms); 0 when the process has gone.
milliseconds CpuTime(pid_t pid);

// Halts a process (SIGSTOP); false when it does not stand still within kPatience.
bool Halt(pid_t pid);

// Asks again and again, with pauses, until `happened` says so; false after kPatience. For what sends no signal.
template <class Condition>
bool Eventually(Condition happened);

// One process, held by a descriptor, so that its number cannot mean another one by now.
class ProcessHandle {
 public:
  explicit ProcessHandle(pid_t pid);

  // Whether it ends, or has ended, within kPatience.
  bool WaitForEnd() const;
  // False when it has gone already.
  bool Kill() const;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  UniqueFd fd_;
};

void Pause(milliseconds time);

template <class Condition>
bool Eventually(Condition happened) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!happened()) {
    if (std::chrono::steady_clock::now() > end) return false;
    Pause(milliseconds(10));
  }
  return true;
}

}  // namespace lazaret::tests
