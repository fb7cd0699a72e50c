#include "core/freshness.h"

namespace lazaret {

bool IsNewerSet(const EngineInfo& a, const EngineInfo& b) {
  // The built-in set finds next to nothing, whatever its date.
  return a.profile == b.profile && a.test_set == b.test_set && a.built_at && b.built_at && *a.built_at > *b.built_at;
}

bool IsFresh(const EngineInfo& made, const EngineInfo& now, CacheSharing sharing) {
  return made.SameIdentity(now) || (sharing == CacheSharing::kFleet && IsNewerSet(made, now));
}

}  // namespace lazaret
