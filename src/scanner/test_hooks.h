#pragma once

namespace lazaret::scanner {

#ifdef LAZARET_TEST_HOOKS
// Only in lazaret-scanner-hooks: does what a content that begins with "LAZARET-TEST-HOOK <what>\n" asks for.
void RunTestHook(int content, int socket);
#else
inline void RunTestHook(int, int) {}
#endif

}  // namespace lazaret::scanner
