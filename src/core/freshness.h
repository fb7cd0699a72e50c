#pragma once

#include "core/verdict.h"

namespace lazaret {

// Who else stores verdicts in the cache.
enum class CacheSharing : bool { kNobody, kFleet };

// Whether `a` certainly has all that `b` has, and later signatures: the same profile (which covers everything but the
// dated signatures), and both say when they were built. Without a build time, and with equal ones, nobody knows, and it
// is not.
bool IsNewerSet(const EngineInfo& a, const EngineInfo& b);

// The one rule of freshness: whether a verdict that was made with `made` answers for who scans with `now`. In a fleet
// that is being updated a newer signature set does, too; what cannot be compared does not, and is scanned again.
bool IsFresh(const EngineInfo& made, const EngineInfo& now, CacheSharing sharing);

}  // namespace lazaret
