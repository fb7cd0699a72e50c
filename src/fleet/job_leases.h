#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "aio/task.h"
#include "aio/task_group.h"
#include "core/job_queue.h"
#include "fleet/claim.h"
#include "fleet/job_contents.h"
#include "fleet/shard_calls.h"
#include "fleet/shard_taker.h"
#include "fleet/shard_watch.h"

namespace lazaret::fleet {

// Jobs in the hands of workers: taking them, and what is said of them until they end.
class JobLeases {
 public:
  // `endings` does what is to be done even while the queue is being stopped. The references must outlive it; it
  // outlives its tasks. All but the constructor: any executor.
  JobLeases(ShardCalls& calls, JobContents& contents, aio::TaskGroup& tasks, aio::TaskGroup& endings,
            const Clock& clock, Log& log);

  // These are JobQueue's.
  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind kind, SteadyTime until);
  aio::Task<Result<void>> Renew(Lease lease);
  aio::Task<Result<void>> Finish(Lease lease, VerdictPtr verdict, JobState end);
  aio::Task<Result<void>> Retry(Lease lease, milliseconds pause, std::string why);
  aio::Task<Result<void>> Release(Lease lease);

 private:
  struct Leased {
    TakenJob job;
    Lease lease;
  };
  using Held = Claim<Leased>;

  ShardWatch::Parts WatchParts(aio::TaskGroup& tasks);
  aio::Task<Result<std::optional<Held>>> TryTake(std::uint32_t shard, JobKind kind);
  aio::Task<> Untake(std::uint32_t shard, std::uint64_t token);
  aio::Task<> ReleaseLater(Lease lease);
  aio::Task<> RenewLater(Lease lease);
  // Runs a script on a lease.
  aio::Task<Result<void>> OnLease(Lease lease, const redis::Script& script, std::vector<std::string> more);
  // Some time, for nobody; any thread.
  void Spawn(std::function<aio::Task<>()> make);

  ShardCalls& calls_;
  JobContents& contents_;
  aio::TaskGroup& endings_;
  const Clock& clock_;
  Log& log_;
  const std::string node_;
  ShardWatch watch_;
  ShardTaker<Held, JobKind> taker_;
};

}  // namespace lazaret::fleet
