#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "aio/broadcast.h"
#include "redis/error_reply.h"
#include "redis/link.h"
#include "redis/router.h"
#include "redis/topology.h"

namespace lazaret::redis {

// A Redis Cluster: a link to each master, and which of them has which slot
// (https://redis.io/docs/reference/cluster-spec). One executor.
class ClusterRouter final : public Router {
 public:
  struct Options {
    LinkOptions link;
    milliseconds refresh{30'000};    // of the topology while all is well
    milliseconds refresh_soon{250};  // while a master is not connected; never more often
    int max_redirections = 8;        // of one call
    milliseconds first_pause{10};    // after TRYAGAIN and CLUSTERDOWN, growing
    int max_pauses = 6;              // of one call
  };

  // The references must outlive the router and the tasks of the connector's group.
  ClusterRouter(Connector& connector, std::vector<Endpoint> seeds, Options options, Log& log);

  aio::Task<Result<std::vector<Reply>>> Route(std::uint16_t slot, std::vector<Command> commands,
                                              Router::Options options) override;
  void Stop() override;

 private:
  using LinkPtr = std::shared_ptr<Link>;
  class Call;  // one Route

  aio::Task<> KeepFresh();
  aio::Task<Result<void>> Refresh();
  aio::Task<Result<std::vector<SlotRange>>> AskAnyone();
  aio::Task<Result<std::vector<SlotRange>>> AskSeed(Endpoint seed, SteadyTime deadline);
  void Apply(const std::vector<SlotRange>& ranges);
  LinkPtr LinkTo(const Endpoint& endpoint);
  bool HasLostMaster() const;
  void RequestRefresh();
  // Waits for the topology to be asked for anew, unless it is known that nobody answers.
  aio::Task<> AwaitRefresh(SteadyTime deadline);

  Connector& connector_;
  const std::vector<Endpoint> seeds_;
  const Options options_;
  Log& log_;
  std::map<Endpoint, LinkPtr> nodes_;
  std::vector<LinkPtr> slots_;  // of each slot; null: not known to be served
  std::size_t next_asked_ = 0;
  SteadyTime refreshed_at_ = SteadyTime::min();
  bool refresh_requested_ = true;
  bool stopped_ = false;
  std::optional<Error> failure_;                     // of the last refresh
  std::shared_ptr<aio::Broadcast<bool>> refreshed_;  // set when the topology has been asked for, or could not be
  boost::asio::steady_timer wake_;
};

}  // namespace lazaret::redis
