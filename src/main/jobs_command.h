#pragma once

#include "config/command_line.h"

namespace lazaret {

// `lazaret jobs ...`: asks the server that runs over its control socket and prints the answer to standard output. The
// exit status of the process: 0, config::kNotFoundExitCode when that was all that went wrong, else 1; what went wrong
// is on standard error.
int RunJobs(const config::Jobs& jobs);

}  // namespace lazaret
