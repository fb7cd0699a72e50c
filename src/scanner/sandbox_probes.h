#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

namespace lazaret::scanner {

struct ProbeSurroundings {
  std::string temp_directory;
  pid_t parent;
};

// One thing to try in a sandbox.
struct SandboxProbe {
  std::string_view name;
  bool must_work;
  // 0 when it worked, an errno when it did not; may not return.
  int (*attempt)(const ProbeSurroundings&);
};

std::span<const SandboxProbe> SandboxProbes();
// Null when there is none of that name.
const SandboxProbe* FindSandboxProbe(std::string_view name);

}  // namespace lazaret::scanner
