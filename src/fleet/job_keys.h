#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/digest.h"

namespace lazaret::fleet {

// How many shards there are, and in which layout: a text that all nodes agree on.
inline constexpr const char* kShardsKey = "lz:shards";
inline constexpr std::uint32_t kMaxShards = 1024;

// Which shard a job lives on.
std::uint32_t ShardOf(const Digest& id, std::uint32_t shards);

// The names of one shard's keys. All have one hash tag, so that they lie in one slot of a cluster. docs/redis.md says
// what they hold.
class ShardKeys {
 public:
  explicit ShardKeys(std::uint32_t shard);

  // Those that every script is called with, in its order (scripts/job_common.lua).
  const std::vector<std::string>& all() const { return all_; }
  const std::string& stat() const { return all_[0]; }
  const std::string& small() const { return all_[1]; }
  const std::string& large() const { return all_[2]; }
  const std::string& wake() const { return all_[10]; }
  const std::string& finished() const { return all_[11]; }
  const std::string& mail() const { return all_[13]; }
  // Of jobs that somebody waits for.
  const std::string& urgent_small() const { return all_[15]; }
  const std::string& urgent_large() const { return all_[16]; }
  std::string Job(const Digest& id) const;
  // The n-th piece of a content; `name` tells apart what was written at different times.
  std::string Chunk(const Digest& id, const std::string& name, std::size_t n) const;

 private:
  std::string prefix_;
  std::vector<std::string> all_;
};

}  // namespace lazaret::fleet
