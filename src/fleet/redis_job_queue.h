#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/job_queue.h"
#include "core/outbox.h"
#include "fleet/finished_feed.h"
#include "fleet/redis_queue_settings.h"
#include "redis/client.h"

namespace lazaret::fleet {

// The job queue and its outbox in Redis, for any number of nodes: docs/redis.md. Durable as far as Redis keeps what it
// has acknowledged. Times are those of Redis; a node's clock is only for its own waiting.
//
// The bounds of unfinished jobs are exact within a shard and a second old for the others; those of finished jobs are
// divided among the shards. The order of jobs is that of each shard; among shards it is kept as far as a node knows of
// them.
class RedisJobQueue final : public JobQueue, public Outbox {
 public:
  // `executor` is single-threaded; all of it outlives the queue, `disk` also the contents. kUnavailable while Redis
  // cannot be reached: to be tried again. kMalformed when the queue there is another one than the settings say.
  static aio::Task<Result<std::unique_ptr<RedisJobQueue>>> Open(RedisQueueSettings settings, redis::Client& client,
                                                                aio::BlockingPool& disk, aio::Executor executor,
                                                                const Clock& clock, Log& log);
  // After Stop.
  ~RedisJobQueue() override;
  // On the executor. What waits is cancelled, and what was taken for nobody is given back.
  aio::Task<> Stop();

  Result<void> CheckRoom(std::uint64_t size) const override;
  // One round trip for a content that goes along with its job, or that is there already.
  aio::Task<Result<Submitted>> Submit(ContentPtr content, std::optional<Callback> callback) override;
  aio::Task<Result<Submitted>> SubmitUrgent(ContentPtr content) override;
  aio::Task<Result<std::optional<Job>>> Find(Digest id) override;
  // May be cancelled at any time: a job that was taken for it goes back to its place.
  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind kind, SteadyTime until) override;
  aio::Task<Result<void>> Renew(Lease lease) override;
  aio::Task<Result<void>> Finish(Lease lease, VerdictPtr verdict, JobState end) override;
  aio::Task<Result<void>> Retry(Lease lease, milliseconds pause, std::string why) override;
  aio::Task<Result<void>> Release(Lease lease) override;
  // About a second old as far as other nodes have changed them.
  JobCounts Counts() const override;
  // Of finished jobs, those that ended last are looked at.
  aio::Task<Result<std::vector<Job>>> List(JobFilter filter) override;
  aio::Task<Result<void>> Revive(Digest id) override;
  aio::Task<Result<void>> Drop(Digest id) override;

  aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) override;
  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds lease, SteadyTime until) override;
  aio::Task<Result<void>> Close(std::uint64_t number) override;
  aio::Task<Result<void>> Postpone(std::uint64_t number, milliseconds pause) override;
  aio::Task<Result<void>> Return(std::uint64_t number, milliseconds pause) override;
  std::uint64_t waiting() const override;

  // Hears of jobs that other nodes finish.
  FinishedFeed& finished();

 private:
  struct Impl;
  explicit RedisJobQueue(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lazaret::fleet
