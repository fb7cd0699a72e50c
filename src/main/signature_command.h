#pragma once

#include "config/command_line.h"

namespace lazaret {

// `lazaret signatures ...`: asks the server that runs over its control socket, or tries the signatures of a directory
// in processes of its own, and prints what comes of it to standard output. The exit status of the process: 0, or 1 when
// signatures were refused or something failed; what failed is on standard error.
int RunSignatures(const config::Signatures& order);

}  // namespace lazaret
