#include "fleet/job_errors.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "redis/error_reply.h"

namespace lazaret::fleet {
namespace {

struct Meaning {
  std::string_view word;
  Errc code;
  std::string_view what;
};

// What an operator can do about it, where Redis does not say.
constexpr std::array kMeanings = {
    Meaning{"OOM", Errc::kOverloaded,
            "Redis has no memory left for jobs: raise maxmemory, or wait until workers have emptied the queue"},
    Meaning{"READONLY", Errc::kUnavailable,
            "Redis is a replica that cannot be written: name the master, the Sentinels or the cluster in the URL"},
    Meaning{"LOADING", Errc::kUnavailable, "Redis is loading its data: it comes back by itself"},
    Meaning{"CLUSTERDOWN", Errc::kUnavailable, "the Redis cluster does not serve this part of the queue now"},
    Meaning{"MASTERDOWN", Errc::kUnavailable, "the Redis master is gone: a replica is to take over"},
    Meaning{"MISCONF", Errc::kUnavailable, "Redis cannot save to its disk: make room on it"},
    Meaning{"NOREPLICAS", Errc::kUnavailable,
            "Redis has too few replicas that keep up: bring them back, or lower min-replicas-to-write"},
};

}  // namespace

Error JobErrorOf(Error error) {
  for (const Meaning& meaning : kMeanings) {
    if (redis::HasErrorWord(error, meaning.word)) {
      return {meaning.code, fmt::format("{} ({})", meaning.what, error.what)};
    }
  }
  switch (error.code) {
    case Errc::kUnavailable:
    case Errc::kOverloaded:
    case Errc::kCancelled:
    case Errc::kCorrupt: return error;
    case Errc::kTimeout:
    case Errc::kDisconnected:
    case Errc::kMalformed:
    case Errc::kTooLarge: return {Errc::kUnavailable, fmt::format("nobody knows whether Redis did it: {}", error.what)};
    case Errc::kNotFound:
    case Errc::kInternal: break;
  }
  // A script that met a slot which is being moved to another node, too.
  return {Errc::kUnavailable, fmt::format("the job queue in Redis does not work: {}", error.what)};
}

bool MayHaveBeenDone(const Error& error) {
  switch (error.code) {
    case Errc::kTimeout:
    case Errc::kDisconnected:
    case Errc::kCancelled:
    case Errc::kMalformed:
    case Errc::kTooLarge: return true;
    default: return false;
  }
}

}  // namespace lazaret::fleet
