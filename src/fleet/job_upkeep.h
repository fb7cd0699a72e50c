#pragma once

#include <cstdint>
#include <optional>

#include "aio/task.h"
#include "base/log.h"
#include "base/result.h"
#include "fleet/job_contents.h"
#include "fleet/shard_calls.h"

namespace lazaret::fleet {

// What is done about once a second, whether jobs come or not: the figures of all shards are asked for, what was kept
// long enough is forgotten, and all nodes agree on the number of shards.
class JobUpkeep {
 public:
  // The references must outlive it.
  JobUpkeep(ShardCalls& calls, JobContents& contents, Log& log);

  // Whether the queue in Redis is one that this node can use. kUnavailable when Redis cannot be asked; otherwise
  // kMalformed with the cure.
  aio::Task<Result<void>> CheckLayout();
  // Once for each shard; not for those behind one that cannot be reached. Whether all could be.
  aio::Task<Result<void>> FirstRound();
  // Once for each shard. Why one of them could not be reached.
  aio::Task<Result<void>> Round(bool thorough);
  // Rounds for ever.
  aio::Task<> Run();

 private:
  aio::Task<Result<void>> Care(std::uint32_t shard, bool thorough);
  void Report(const Result<void>& result);

  ShardCalls& calls_;
  JobContents& contents_;
  Log& log_;
  std::optional<Errc> trouble_;
};

}  // namespace lazaret::fleet
