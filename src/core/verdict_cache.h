#pragma once

#include <optional>

#include "aio/task.h"
#include "core/verdict.h"

namespace lazaret {

// How long verdicts are remembered.
struct CachePolicy {
  std::chrono::seconds max_age{std::chrono::days{30}};
  std::chrono::seconds passing_age{60};  // for verdicts that say more about the moment than about the content

  WallTime ExpiryOf(const Verdict& verdict) const {
    return verdict.record().scanned_at + (verdict.IsPassing() ? passing_age : max_age);
  }
};

// Remembers verdicts by content. Bounded: old and unused entries give way to new ones.
class VerdictCache {
 public:
  virtual ~VerdictCache() = default;

  // What is known without waiting; null says nothing. Any thread.
  virtual VerdictPtr Peek(const Digest& /*digest*/) { return nullptr; }

  // Null when nothing is stored under `digest` or what was has expired. The entry may be stale: compare its engine.
  // Any executor; resumes on the caller's. A cache that cannot be read is kUnavailable or kCorrupt, never a miss.
  virtual aio::Task<Result<VerdictPtr>> Find(Digest digest) = 0;
  // Find, past memory in front of a store that others write to as well: for whoever was given a stale verdict.
  virtual aio::Task<Result<VerdictPtr>> FindAnew(Digest digest) { return Find(digest); }
  // Replaces what was stored under `digest`; a store that others write to keeps what a newer signature set (IsNewerSet)
  // said for good. Any executor; resumes on the caller's. Visible to Find when it returns.
  virtual aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) = 0;
};

}  // namespace lazaret
