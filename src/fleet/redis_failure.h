#pragma once

#include "base/result.h"

namespace lazaret::fleet {

// What the Redis client failed with, for callers of the core interfaces: kOverloaded when Redis has no memory left or
// too much waits for it, kCorrupt when it holds what we did not write, kCancelled as it is, and otherwise kUnavailable.
// `what` says cause and cure where they are known.
Error Explain(Error error);

}  // namespace lazaret::fleet
