#pragma once

#include "base/result.h"

namespace lazaret::fleet {

// A failure of a Redis call as JobQueue and Outbox give it: kOverloaded when Redis has no memory left, kCorrupt for
// what is damaged, kCancelled for whoever has gone, and otherwise kUnavailable, which says so when nobody knows whether
// the call was carried out. The texts name cause and cure.
Error JobErrorOf(Error error);

// Whether a call that failed so may have been carried out.
bool MayHaveBeenDone(const Error& error);

}  // namespace lazaret::fleet
