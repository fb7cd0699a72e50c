#pragma once

#include <string>

#include "base/unique_fd.h"
#include "scanner/clamav_engine.h"
#include "scanner/sandbox.h"

namespace lazaret::scanner {

// Exit statuses of a scanner; anything else is a crash.
enum ScannerExit : int {
  kScannerDone = 0,        // the server closed the socket
  kScannerNoSandbox = 10,  // it refused to scan without one
  kScannerMalformed = 11,  // the server sent something that is no scan request
  kScannerTempDir = 12,    // its temporary directory is gone or was left dirty
  kScannerNoSocket = 13,   // an outcome could not be sent
};

// The life of one scanner after fork(2): enters the sandbox, then answers scan requests (wire/scanner_protocol.h) from
// `socket` until it is closed. Returns the exit status.
int RunScanner(ClamavEngine& engine, const SandboxRules& rules, UniqueFd socket);

}  // namespace lazaret::scanner
