#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_set>

#include "core/verdict_cache.h"

namespace lazaret::embedded {

// Who writes to the store behind a MemoryVerdictCache: only that one, or other nodes too.
enum class Backing { kOwn, kShared };

// Verdicts in memory, in front of another cache or alone. Thread-safe: 16 shards, each with a lock of its own.
//
// Bounded: `max_entries` in all, exceeded by at most one for each thread that is storing right now. The least recently
// used entry of the shard that grows goes first (of a neighbour when that shard has no other). Measured: an entry with
// a clean verdict takes 260 bytes, with an infected one of one signature 370; the EngineInfo is shared.
//
// The age of what was found in a shared backing is that store's business, since another node's clock may be wrong: it
// is kept for an hour at most from then, and not at all when it is passing.
class MemoryVerdictCache final : public VerdictCache {
 public:
  // Told at most once an hour that an entry is still in use while hits in memory hide that from `backing`. Called on
  // the thread of the hit; must not block.
  using OnUsed = std::function<void(const Digest&)>;

  // The references and `backing` must outlive the cache.
  MemoryVerdictCache(const Clock& clock, CachePolicy policy, std::size_t max_entries, VerdictCache* backing = nullptr,
                     OnUsed on_used = {}, Backing kind = Backing::kOwn);

  // Find without waiting and without `backing`: null when memory has no such entry or it has expired. Any thread.
  VerdictPtr Peek(const Digest& digest) override;

  // Looks in memory, then in the backing, and keeps what it finds there.
  aio::Task<Result<VerdictPtr>> Find(Digest digest) override;
  // Asks a shared backing whatever memory has.
  aio::Task<Result<VerdictPtr>> FindAnew(Digest digest) override;
  // Into memory first, then into the backing. What the backing fails with is returned; memory has the verdict then.
  aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) override;

  std::size_t size() const { return size_; }

 private:
  struct Entry {
    Digest digest;
    VerdictPtr verdict;
    WallTime expires_at;
    WallTime told_backing_at;
  };
  using Entries = std::list<Entry>;  // most recently used first
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Digest& digest) const { return DigestHash()(digest); }
    std::size_t operator()(Entries::const_iterator entry) const { return DigestHash()(entry->digest); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(Entries::const_iterator a, Entries::const_iterator b) const { return a->digest == b->digest; }
    bool operator()(Entries::const_iterator a, const Digest& b) const { return a->digest == b; }
    bool operator()(const Digest& a, Entries::const_iterator b) const { return a == b->digest; }
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    Entries entries;
    std::unordered_set<Entries::iterator, Hash, Equal> index;
    std::uint64_t stores = 0;
  };
  static constexpr std::size_t kShards = 16;

  // The hash of a shard's index uses the first bytes of the digest.
  static std::size_t ShardOf(const Digest& digest) {
    return std::to_integer<std::size_t>(digest.AsSpan().back()) % kShards;
  }
  aio::Task<Result<VerdictPtr>> FindInBacking(Digest digest);
  // Both with the shard's lock held; what left the cache is moved to `gone`, to be destroyed without it.
  void Put(Shard& shard, const Digest& digest, VerdictPtr verdict, WallTime expires_at, Entries& gone);
  void RemoveOldest(Shard& shard, Entries& gone);
  void MakeRoom(std::size_t first_shard);

  const Clock& clock_;
  const CachePolicy policy_;
  const std::size_t max_entries_;
  VerdictCache* const backing_;
  const OnUsed on_used_;
  const Backing kind_;
  std::atomic<std::size_t> size_ = 0;
  std::array<Shard, kShards> shards_;
};

}  // namespace lazaret::embedded
