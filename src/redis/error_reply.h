#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "redis/reply.h"

// What the error replies of Redis mean (https://redis.io/docs/reference/protocol-spec: the first word is the code).
namespace lazaret::redis {

// The first word of an error reply, "" of any other reply.
std::string_view ErrorWord(const Reply& reply);

// An error reply as an Error: `what` begins with "Redis: " and the reply's first word. The server cannot serve it now
// (LOADING, READONLY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN, MOVED, ASK, BUSY, MISCONF, NOREPLICAS, ...) or will not serve
// us (NOAUTH, WRONGPASS, NOPERM): kUnavailable. OOM: kOverloaded. NOSCRIPT, NOGROUP: kNotFound. WRONGTYPE: kCorrupt.
// BUSYGROUP: kMalformed. Anything else is a mistake of ours: kInternal. The arguments that Redis quotes in some
// messages are left out: a password may be among them.
Error ErrorOf(const Reply& reply);

// Whether `error` came from ErrorOf for a reply with this first word.
bool HasErrorWord(const Error& error, std::string_view word);

// Where a cluster sends a command to instead.
struct Redirection {
  bool ask;  // this once, after ASKING; otherwise the slot has moved for good
  std::uint16_t slot;
  std::string host;  // empty: the node that answered
  std::uint16_t port;
};

// Empty unless `reply` is a well-formed MOVED or ASK.
std::optional<Redirection> ParseRedirection(const Reply& reply);

}  // namespace lazaret::redis
