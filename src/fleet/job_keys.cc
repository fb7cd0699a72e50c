#include "fleet/job_keys.h"

#include <fmt/format.h>

#include "base/byte_fields.h"

namespace lazaret::fleet {

std::uint32_t ShardOf(const Digest& id, std::uint32_t shards) {
  return static_cast<std::uint32_t>(FieldReader(id.AsSpan()).Number<std::uint64_t>() % shards);
}

ShardKeys::ShardKeys(std::uint32_t shard) : prefix_(fmt::format("lz:{{q{}}}:", shard)) {
  for (const char* name : {"stat", "queue:small", "queue:large", "again:small", "again:large", "paused", "leases",
                           "jobs", "done", "dead", "wake", "finished", "outbox", "mail", "told", "queue:urgent-small",
                           "queue:urgent-large", "again:urgent-small", "again:urgent-large"}) {
    all_.push_back(prefix_ + name);
  }
}

std::string ShardKeys::Job(const Digest& id) const { return prefix_ + "job:" + id.Hex(); }

std::string ShardKeys::Chunk(const Digest& id, const std::string& name, std::size_t n) const {
  return fmt::format("{}content:{}:{}:{}", prefix_, id.Hex(), name, n);
}

}  // namespace lazaret::fleet
