#include "fleet/redis_failure.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "redis/error_reply.h"

namespace lazaret::fleet {
namespace {

constexpr std::pair<std::string_view, std::string_view> kCures[] = {
    {"OOM", "Redis has no memory left: raise its maxmemory"},
    {"READONLY", "Redis is a replica that takes no writes: name its master, or its sentinels"},
    {"LOADING", "Redis has just started and loads its data: wait"},
    {"MASTERDOWN", "Redis is a replica that has lost its master: name the sentinels, or repair the master"},
    {"CLUSTERDOWN", "the Redis Cluster is not whole: bring its masters back"},
    {"NOREPLICAS", "Redis has fewer replicas than its min-replicas-to-write: bring them back"},
    {"MISCONF", "Redis cannot save to its disk and refuses writes: see its log"},
    {"NOAUTH", "Redis wants a password: add it to the URL"},
    {"WRONGPASS", "Redis does not know this user and password: correct the URL"},
    {"NOPERM", "this user of Redis may not do that: give it more rights (ACL SETUSER)"},
    {"WRONGTYPE", "another program writes to our keys in Redis: give it another database"},
};

}  // namespace

Error Explain(Error error) {
  for (const auto& [word, cure] : kCures) {
    if (redis::HasErrorWord(error, word)) error.what = fmt::format("{} ({})", cure, error.what);
  }
  switch (error.code) {
    case Errc::kOverloaded:
    case Errc::kCorrupt:
    case Errc::kCancelled: return error;
    default: return {Errc::kUnavailable, std::move(error.what)};
  }
}

}  // namespace lazaret::fleet
