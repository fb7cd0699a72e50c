#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "core/job_queue.h"

namespace lazaret::fleet {

struct RedisQueueSettings {
  JobPolicy policy{};
  std::uint32_t shards = 1;                             // the same for all nodes and for ever: Redis remembers it
  std::uint64_t inline_size = 64 * 1024;                // contents up to this many bytes go along with the job
  std::uint64_t max_content = std::uint64_t{32} << 20;  // larger ones go to the shared directory
  std::filesystem::path content_dir = {};               // that all nodes share; empty: there is none
  std::uint32_t wait_replicas = 0;                      // that must have a submit before it is acknowledged
  milliseconds wait_timeout{1000};                      // for them
  std::string node = "node";                            // shown to operators; its number of this run is added
  std::uint64_t max_messages = 1'000'000;               // callbacks that are to be delivered
  milliseconds timeout{5000};                           // of one call
  milliseconds refresh{1000};                           // how often the figures of all shards are asked for
  milliseconds chunk_ttl{std::chrono::minutes(10)};     // of chunks that belong to no job yet
  milliseconds watch{5000};                             // how long one blocking read waits
};

}  // namespace lazaret::fleet
