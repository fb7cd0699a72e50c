#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "aio/task.h"
#include "base/result.h"
#include "fleet/job_keys.h"
#include "fleet/job_replies.h"
#include "fleet/job_scripts.h"
#include "fleet/redis_queue_settings.h"
#include "fleet/shard_board.h"
#include "redis/client.h"

namespace lazaret::fleet {

// Calls of the queue's scripts: with the keys of a shard, what all scripts are told, a deadline, and the answer's
// figures on the board. Errors are those of JobErrorOf. Any executor; calls own what they use but this.
class ShardCalls {
 public:
  // Gets "<id>.<name>" of files that nothing refers to any more; any thread.
  using OnGone = std::function<void(std::vector<std::string>)>;

  // The references must outlive it.
  ShardCalls(const RedisQueueSettings& settings, redis::Client& client, ShardBoard& board, OnGone on_gone);

  // A call that may have been lost with its connection is repeated: scripts must bear that.
  aio::Task<Result<ShardAnswer>> Run(std::uint32_t shard, const redis::Script& script,
                                     std::vector<std::string> arguments);
  // Once only: an answer that is lost stays so. The error is the client's: MayHaveBeenDone tells what became of it.
  aio::Task<Result<ShardAnswer>> RunOnce(std::uint32_t shard, const redis::Script& script,
                                         std::vector<std::string> arguments);
  // The same as Run, and what it changed is on as many replicas as settings say; kUnavailable when it is not known to
  // be.
  aio::Task<Result<ShardAnswer>> RunDurably(std::uint32_t shard, const redis::Script& script,
                                            std::vector<std::string> arguments);
  // A script that has a protocol of its own.
  aio::Task<Result<redis::Reply>> RunBare(const redis::Script& script, std::string key,
                                          std::vector<std::string> arguments);

  const ShardKeys& keys(std::uint32_t shard) const { return keys_[shard]; }
  std::uint32_t ShardOf(const Digest& id) const { return fleet::ShardOf(id, settings_.shards); }
  redis::Client& client() { return client_; }
  ShardBoard& board() { return board_; }
  const JobScripts& scripts() const { return scripts_; }
  const RedisQueueSettings& settings() const { return settings_; }
  SteadyTime Deadline() const { return std::chrono::steady_clock::now() + settings_.timeout; }

 private:
  std::vector<std::string> Arguments(std::vector<std::string> arguments) const;
  Result<ShardAnswer> Understand(std::uint32_t shard, Result<redis::Reply> reply);
  aio::Task<Result<redis::Reply>> WaitForReplicas(std::uint32_t shard, const redis::Script& script,
                                                  std::vector<std::string> arguments);

  const RedisQueueSettings& settings_;
  redis::Client& client_;
  ShardBoard& board_;
  const OnGone on_gone_;
  const JobScripts scripts_;
  std::vector<ShardKeys> keys_;
  std::vector<std::string> common_;
};

}  // namespace lazaret::fleet
