#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "redis/client.h"

namespace lazaret::fleet {

// What one Redis master says about itself; empty where it does not say.
struct RedisFacts {
  std::string server;                       // "host:port", "" when there is only one
  std::optional<std::uint64_t> maxmemory;   // bytes, 0: no limit
  std::optional<std::string> eviction;      // maxmemory-policy
  std::optional<bool> append_only;          // AOF
  std::optional<std::string> append_fsync;  // "always", "everysec" or "no"
  std::optional<std::string> save;          // when snapshots are made; "" never
  std::optional<bool> is_replica;
  std::optional<std::uint64_t> replicas;  // that are connected
  bool cannot_save = false;               // the last attempt to write to its disk failed
  bool in_cluster = false;
};

// Looks at the settings of Redis that decide whether it keeps the job queue.
class RedisCheckup {
 public:
  // What is to be said to the operator, one sentence or two each; nothing when all is well.
  static std::vector<std::string> Advise(const RedisFacts& facts, std::uint32_t wait_replicas);
  // What a server tells in INFO: total, whatever the text.
  static void ReadInfo(std::string_view text, RedisFacts& facts);

  // Of every master, by CONFIG GET, or by INFO alone where that is forbidden. kUnavailable when one cannot be asked.
  static aio::Task<Result<std::vector<std::string>>> Run(redis::Client& client, std::uint32_t wait_replicas,
                                                         SteadyTime deadline);
};

}  // namespace lazaret::fleet
