#pragma once

#include "core/verdict_cache.h"
#include "redis/client.h"

namespace lazaret::fleet {

// The verdict cache that nodes share through Redis. Put memory in front of it: every Find asks Redis, once.
//
// Entries expire by Redis's clock: this node's is only compared with itself, to learn how old a verdict is that it
// made. What Redis keeps is bounded by that age and by its maxmemory. Any thread.
class RedisVerdictCache final : public VerdictCache {
 public:
  struct Settings {
    CachePolicy policy{};
    milliseconds timeout{250};  // of a Find: somebody waits who could scan instead
    milliseconds store_timeout{1000};
  };

  // The references must outlive the cache.
  RedisVerdictCache(redis::Client& client, const Clock& clock, Settings settings);

  // kUnavailable and kOverloaded: Redis is in trouble; kCorrupt: it holds what we did not write.
  aio::Task<Result<VerdictPtr>> Find(Digest digest) override;
  // What a newer signature set (IsNewerSet) found out and is not passing stays; that is no error. kTooLarge for a
  // verdict of more than 256 KiB.
  aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) override;

 private:
  redis::Client& client_;
  const Clock& clock_;
  const Settings settings_;
  const redis::Script store_;
};

}  // namespace lazaret::fleet
