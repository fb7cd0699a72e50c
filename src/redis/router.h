#pragma once

#include <cstdint>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "redis/command.h"
#include "redis/reply.h"

namespace lazaret::redis {

// Whether commands may be executed twice: when a connection is lost nobody knows whether they were.
enum class Repeat : bool { kNever, kAllowed };

// Brings commands to the server that has their keys. One executor.
class Router {
 public:
  struct Options {
    SteadyTime deadline;
    Repeat repeat = Repeat::kNever;
    bool blocking = false;  // on a connection of their own
  };

  virtual ~Router() = default;

  // The replies to commands on keys of one slot, in order; what could not be brought to the right server comes back as
  // the error reply that said so (MOVED, ASK, TRYAGAIN, CLUSTERDOWN). The commands reach a server one behind the other
  // unless some of them are redirected and others not. Errors as Connection::CallAll.
  virtual aio::Task<Result<std::vector<Reply>>> Route(std::uint16_t slot, std::vector<Command> commands,
                                                      Options options) = 0;
  // Gives up all connections; nothing is routed any more.
  virtual void Stop() = 0;
};

}  // namespace lazaret::redis
