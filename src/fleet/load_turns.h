#pragma once

#include <functional>
#include <memory>
#include <string>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "core/load_turn.h"
#include "fleet/leases.h"
#include "redis/client.h"

namespace lazaret::fleet {

// The turn to load signatures, of which there is one among all nodes: a lease in Redis.
class LoadTurns {
 public:
  struct Settings {
    milliseconds lease{15'000};      // how long a node that died keeps the others waiting
    milliseconds max_wait{600'000};  // for the turn
  };
  using OnWait = std::function<void(const std::string& node)>;

  // `node` is this process's own id. `executor` is the one that signatures are loaded from; everything here is called
  // on it. The references must outlive this.
  LoadTurns(redis::Client& client, aio::Executor executor, std::string node, Settings settings, const Clock& clock,
            Log& log);

  // Waits until it is this node's turn; `on_wait` is called with the id of the node whose turn it is, as often as that
  // changes. kTimeout after `max_wait`. When Redis has given no answer for the length of a lease, by which time a turn
  // would be over that nobody renews, there is none to wait for: what is returned then holds nothing, and the log says
  // so.
  aio::Task<Result<std::unique_ptr<LoadTurn>>> Ask(OnWait on_wait);

  // When all turns have been destroyed: waits until they have been given up in Redis, but not for long.
  aio::Task<> Stop();

 private:
  class Turn;

  aio::Task<Result<std::string>> Take(const Leases::Held& held);

  redis::Client& client_;
  const std::string node_;
  const Settings settings_;
  const Clock& clock_;
  Log& log_;
  const redis::Script take_;
  Leases leases_;
};

}  // namespace lazaret::fleet
