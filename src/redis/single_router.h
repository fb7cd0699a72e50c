#pragma once

#include <memory>

#include "redis/link.h"
#include "redis/router.h"
#include "redis/sentinel.h"

namespace lazaret::redis {

// One server that has every key: at a fixed address, or the master that Sentinels name. One executor.
class SingleRouter final : public Router {
 public:
  struct Options {
    LinkOptions link;
    milliseconds check_master{1000};  // between questions to the sentinels while all seems well
  };

  // The references must outlive the router and the tasks of the connector's group.
  SingleRouter(Connector& connector, Endpoint endpoint, Options options, Log& log);
  SingleRouter(Connector& connector, std::unique_ptr<Sentinels> sentinels, Options options, Log& log);

  aio::Task<Result<std::vector<Reply>>> Route(std::uint16_t slot, std::vector<Command> commands,
                                              Router::Options options) override;
  void Stop() override { link_->Retire(Link::Ending::kNow); }

 private:
  static aio::Task<> CheckMaster(std::shared_ptr<Sentinels> sentinels, std::shared_ptr<Link> link,
                                 milliseconds interval, milliseconds timeout);

  Connector& connector_;
  const std::shared_ptr<Sentinels> sentinels_;  // null at a fixed address; shared with the tasks that ask
  const std::shared_ptr<Link> link_;
};

}  // namespace lazaret::redis
