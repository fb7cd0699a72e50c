#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace lazaret::tests {

// How a command ended and what it printed.
struct Outcome {
  int status;  // minus the number of the signal that ended it
  std::string out;
  std::string err;
};

// Runs `lazaret` with these arguments to its end, with nothing of this process's environment, as `user` if there is
// one. Killed when it prints nothing for a minute.
Outcome RunLazaret(std::vector<std::string> arguments, const std::string& program = LAZARET_PROGRAM,
                   std::optional<uid_t> user = {});

}  // namespace lazaret::tests
