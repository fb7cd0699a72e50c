#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "core/override_board.h"
#include "core/override_store.h"
#include "redis/client.h"

namespace lazaret::fleet {

// The overrides that nodes share through Redis, whose clock ends them. A node has those that it heard of last while
// Redis is gone, and none as long as it has never reached it. As durable as Redis is: a Redis that comes back empty has
// none, and so have the nodes then.
class RedisOverrides final : public OverrideStore {
 public:
  struct Settings {
    std::size_t max_entries = 10'000;  // in force at once
    std::string node;                  // this process's own id, never used again
    milliseconds timeout{1000};        // of each call
  };

  // The references must outlive the store.
  RedisOverrides(redis::Client& client, OverrideBoard& board, Settings settings, const Clock& clock, Log& log);

  aio::Task<Result<void>> Put(Override entry) override;
  aio::Task<Result<void>> Remove(Digest id) override;
  // One round trip, and all overrides after a change.
  aio::Task<Result<void>> Refresh() override;

 private:
  redis::Client::Options Options() const;
  Result<void> Hear(redis::Reply reply, SteadyTime at);
  // A word that no version has had before.
  std::string NextMark();

  redis::Client& client_;
  OverrideBoard& board_;
  const Settings settings_;
  const Clock& clock_;
  Log& log_;
  const redis::Script list_;
  const redis::Script put_;
  const redis::Script remove_;

  std::mutex mutex_;     // guards what follows, and the order of what the board is told
  std::string version_;  // of what the board has
  WallTime heard_at_{};  // of Redis's clock: what is older was overtaken on its way
  std::size_t marks_ = 0;
};

}  // namespace lazaret::fleet
