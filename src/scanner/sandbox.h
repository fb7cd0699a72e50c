#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lazaret::scanner {

// What a scanner may still touch once EnterSandbox has returned, besides its open descriptors.
struct SandboxRules {
  std::string temp_directory;
  std::uint64_t temp_bytes;    // size of one file
  std::uint64_t memory_bytes;  // address space beyond what the process has now
};

// The kernel's Landlock version (landlock(7)); 0 when it has none.
int LandlockVersion();

// Resource limits, no capabilities, no new privileges, Landlock where there is one, and last seccomp: a system call
// that is not on the list kills the process. Irrevocable for the calling process, which must be single-threaded. Fails
// when a layer that the kernel offers cannot be had, and always without seccomp; the process must then not go on.
Result<void> EnterSandbox(const SandboxRules& rules);

// Gives up all capabilities (capabilities(7)) of the calling process.
Result<void> DropCapabilities();

}  // namespace lazaret::scanner
