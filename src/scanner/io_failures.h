#pragma once

#include <optional>

namespace lazaret::scanner {

// A call to the C library that failed while a scan was watched.
struct IoFailure {
  const char* call;  // "write", "mkdir", ...
  int error_number;
  bool reading;  // of content, rather than writing to the temporary directory
};

// libclamav reports success when it cannot create or write a temporary file. interposed_libc.cc therefore defines,
// in the executable, the calls with which libclamav does that, so that every shared library binds to them; they do what
// the real ones do and note the first failure here. While nothing is watched nothing is noted. The scanner is
// single-threaded, and so is this.
void StartWatchingIo();
// What failed first since StartWatchingIo.
std::optional<IoFailure> StopWatchingIo();

// Finds the real calls, so that a sandboxed process needs no dynamic linker. False when one is missing.
bool ResolveRealCalls();

}  // namespace lazaret::scanner
