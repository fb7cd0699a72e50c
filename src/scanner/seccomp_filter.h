#pragma once

#include "base/result.h"

namespace lazaret::scanner {

// Restricts the calling process to the system calls that a scan needs (seccomp(2)); every other kills it with SIGSYS.
// Needs no_new_privs.
Result<void> EnterSeccomp();

// Whether the kernel has filters of that kind.
bool SeccompIsAvailable();

}  // namespace lazaret::scanner
