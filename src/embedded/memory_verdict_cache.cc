#include "embedded/memory_verdict_cache.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace lazaret::embedded {
namespace {

constexpr std::chrono::hours kTellBackingEvery{1};
constexpr std::chrono::hours kLongestUnasked{1};

}  // namespace

MemoryVerdictCache::MemoryVerdictCache(const Clock& clock, CachePolicy policy, std::size_t max_entries,
                                       VerdictCache* backing, OnUsed on_used, Backing kind)
    : clock_(clock),
      policy_(policy),
      max_entries_(std::max<std::size_t>(max_entries, 1)),
      backing_(backing),
      on_used_(std::move(on_used)),
      kind_(kind) {}

VerdictPtr MemoryVerdictCache::Peek(const Digest& digest) {
  const WallTime now = clock_.Now();
  Shard& shard = shards_[ShardOf(digest)];
  Entries gone;
  VerdictPtr verdict;
  bool tell_backing = false;
  {
    std::lock_guard lock(shard.mutex);
    const auto found = shard.index.find(digest);
    if (found == shard.index.end()) return nullptr;
    const Entries::iterator entry = *found;
    if (now >= entry->expires_at) {
      shard.index.erase(found);
      gone.splice(gone.begin(), shard.entries, entry);
      --size_;
      return nullptr;
    }
    shard.entries.splice(shard.entries.begin(), shard.entries, entry);
    if (on_used_ && now - entry->told_backing_at >= kTellBackingEvery) {
      entry->told_backing_at = now;
      tell_backing = true;
    }
    verdict = entry->verdict;
  }
  if (tell_backing) on_used_(digest);
  return verdict;
}

aio::Task<Result<VerdictPtr>> MemoryVerdictCache::Find(Digest digest) {
  if (auto verdict = Peek(digest)) co_return verdict;
  if (backing_ == nullptr) co_return nullptr;
  co_return co_await FindInBacking(digest);
}

aio::Task<Result<VerdictPtr>> MemoryVerdictCache::FindAnew(Digest digest) {
  if (kind_ == Backing::kOwn) co_return co_await Find(digest);
  auto found = co_await FindInBacking(digest);
  if (found && *found == nullptr) co_return Peek(digest);
  co_return found;
}

aio::Task<Result<VerdictPtr>> MemoryVerdictCache::FindInBacking(Digest digest) {
  Shard& shard = shards_[ShardOf(digest)];
  const VerdictPtr before = Peek(digest);
  std::uint64_t stores_before = 0;
  {
    std::lock_guard lock(shard.mutex);
    stores_before = shard.stores;
  }
  auto found = co_await backing_->Find(digest);
  // A verdict that was stored in the meantime is newer than what was read.
  if (auto newer = Peek(digest); newer != before && newer != nullptr) co_return newer;
  if (!found || *found == nullptr) co_return found;
  WallTime expires_at = policy_.ExpiryOf(**found);
  if (kind_ == Backing::kShared) {
    if ((*found)->IsPassing()) co_return found;
    expires_at = clock_.Now() + kLongestUnasked;
  } else if (clock_.Now() >= expires_at) {
    co_return nullptr;
  }
  Entries gone;
  {
    std::lock_guard lock(shard.mutex);
    // It may even have been stored and evicted again: keep nothing when there was any store at all.
    if (shard.stores == stores_before) Put(shard, digest, *found, expires_at, gone);
  }
  MakeRoom(ShardOf(digest));
  co_return found;
}

aio::Task<Result<void>> MemoryVerdictCache::Store(Digest digest, VerdictPtr verdict) {
  if (verdict == nullptr) throw std::logic_error("storing no verdict");
  Entries gone;
  {
    Shard& shard = shards_[ShardOf(digest)];
    std::lock_guard lock(shard.mutex);
    ++shard.stores;
    Put(shard, digest, verdict, policy_.ExpiryOf(*verdict), gone);
  }
  MakeRoom(ShardOf(digest));
  if (backing_ == nullptr) co_return Result<void>();
  co_return co_await backing_->Store(digest, std::move(verdict));
}

void MemoryVerdictCache::Put(Shard& shard, const Digest& digest, VerdictPtr verdict, WallTime expires_at,
                             Entries& gone) {
  if (const auto found = shard.index.find(digest); found != shard.index.end()) {
    const Entries::iterator old = *found;
    shard.index.erase(found);
    gone.splice(gone.begin(), shard.entries, old);
    --size_;
  }
  shard.entries.push_front(Entry{digest, std::move(verdict), expires_at, clock_.Now()});
  shard.index.insert(shard.entries.begin());
  // The usual way to make room: without a second lock.
  if (++size_ > max_entries_ && shard.entries.size() > 1) RemoveOldest(shard, gone);
}

void MemoryVerdictCache::RemoveOldest(Shard& shard, Entries& gone) {
  const auto oldest = std::prev(shard.entries.end());
  shard.index.erase(shard.index.find(oldest->digest));
  gone.splice(gone.begin(), shard.entries, oldest);
  --size_;
}

void MemoryVerdictCache::MakeRoom(std::size_t first_shard) {
  Entries gone;
  for (std::size_t i = 1; i <= kShards && size_ > max_entries_; ++i) {
    Shard& shard = shards_[(first_shard + i) % kShards];
    std::lock_guard lock(shard.mutex);
    if (size_ > max_entries_ && !shard.entries.empty()) RemoveOldest(shard, gone);
  }
}

}  // namespace lazaret::embedded
