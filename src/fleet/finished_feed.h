#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/digest.h"
#include "fleet/shard_calls.h"

namespace lazaret::fleet {

// Hears within milliseconds that jobs have finished, on whatever node: one blocking read a shard while somebody here
// waits for a job of it, and nothing otherwise. Thread-safe.
class FinishedFeed {
 public:
  // The job of this content may have finished: whoever waits for it looks again. Also called without need, when jobs
  // may have finished unheard. On the executor of the tasks.
  using OnNews = std::function<void(const Digest&)>;

  // Somebody who waits; look for the job after this was made, and nothing is missed. Must not outlive the feed.
  class Watch {
   public:
    Watch(FinishedFeed& feed, const Digest& id);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    FinishedFeed& feed_;
    const Digest id_;
  };

  // The references must outlive it; it outlives its tasks.
  FinishedFeed(ShardCalls& calls, aio::TaskGroup& tasks);

  // Once, before the first Watch.
  void Listen(OnNews on_news) { on_news_ = std::move(on_news); }

 private:
  struct Shard {
    std::unordered_map<Digest, std::size_t, DigestHash> watched;
    bool followed = false;  // or about to be
  };

  aio::Task<> Follow(std::uint32_t shard);
  aio::Task<Result<std::uint64_t>> Position(std::uint32_t shard);
  bool GoesOn(std::uint32_t shard);
  void Announce(const Digest& id);
  void AnnounceAll(std::uint32_t shard);

  ShardCalls& calls_;
  aio::TaskGroup& tasks_;
  OnNews on_news_;
  std::mutex mutex_;
  std::vector<Shard> shards_;
};

}  // namespace lazaret::fleet
