#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "aio/task_group.h"
#include "base/log.h"
#include "base/standing.h"
#include "fleet/node_record.h"
#include "redis/client.h"

namespace lazaret::fleet {

// A node that was alive a moment ago.
struct Node {
  std::string id;
  NodeRecord record;
  milliseconds silent{0};  // since its last heartbeat, when this was heard; by Redis's clock
};

// The engine with the newest signatures (built_at; a test set counts as oldest) among nodes that take jobs; null when
// there is none.
EngineInfoPtr NewestEngine(const std::vector<Node>& nodes);

// Says every moment in Redis that this node is alive, and hears which others are. No node's clock matters but Redis's.
class Fleet {
 public:
  struct Settings {
    milliseconds beat{2000};
    milliseconds gone_after{10'000};  // without a heartbeat
  };

  // `id` is this process's own, never used again. `describe` is called on `executor` before each heartbeat. The
  // references must outlive the fleet.
  Fleet(redis::Client& client, aio::Executor executor, std::string id, std::function<NodeRecord()> describe,
        Settings settings, const Clock& clock, Log& log);

  // Both on the executor. Stop takes this node off the list.
  void Start();
  aio::Task<> Stop();

  // As at the last heartbeat, by id, this node included; empty when Redis has not answered for as long as a node may be
  // silent. Any thread.
  std::vector<Node> Nodes() const;
  // NewestEngine of those; the same pointer while it is the same engine. Any thread.
  EngineInfoPtr Engine() const;

 private:
  aio::Task<> Run();
  aio::Task<Result<void>> Beat();
  Result<void> Hear(redis::Reply reply);
  bool IsCurrent() const;  // with the mutex held

  redis::Client& client_;
  const std::string id_;
  const std::function<NodeRecord()> describe_;
  const Settings settings_;
  const Clock& clock_;
  Log& log_;
  const redis::Script beat_;
  const redis::Script leave_;
  Standing standing_;
  aio::TaskGroup tasks_;

  // Executor only.
  std::string version_;  // of records_
  std::map<std::string, NodeRecord> records_;

  mutable std::mutex mutex_;  // guards what follows
  std::vector<Node> nodes_;
  EngineInfoPtr engine_;
  SteadyTime heard_at_ = SteadyTime::min();
};

}  // namespace lazaret::fleet
