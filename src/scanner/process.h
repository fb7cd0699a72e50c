#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace lazaret::scanner {

// The calling process dies with its parent (SIGKILL). kDisconnected when the parent is no longer `parent`: then it has
// died already. To be called again after a change of user, which clears it (prctl(2)).
Result<void> DieWithParent(pid_t parent);

// Closes every descriptor from `first` on.
void CloseFrom(int first);

// Points standard input, output and error at /dev/null. False when it cannot be opened.
bool SilenceStandardStreams();

// A terminal's ^C and a service manager's SIGTERM are for the server, which drains first and then closes the sockets.
void IgnoreTerminationSignals();

}  // namespace lazaret::scanner
