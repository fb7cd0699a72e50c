#pragma once

namespace lazaret::scanner {

// `lazaret-scanner --check-sandbox`: tries in real sandboxes what a scanner must not be able to do, on the kernel at
// hand, and prints what happened. 0 when everything is as it must be.
int CheckSandbox(bool json);

}  // namespace lazaret::scanner
