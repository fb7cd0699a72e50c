#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "redis/connector.h"

namespace lazaret::redis {

// Asks Sentinels where the master is (https://redis.io/docs/reference/sentinel-clients). One executor.
class Sentinels {
 public:
  Sentinels(Connector& connector, LoginOptions login, std::vector<Endpoint> endpoints, std::string master)
      : connector_(connector), login_(std::move(login)), endpoints_(std::move(endpoints)), master_(std::move(master)) {}

  // What the first sentinel that answers says, beginning with the one that answered last. It may be wrong for a moment
  // after a failover: ask ROLE. kUnavailable names what each sentinel said.
  aio::Task<Result<Endpoint>> FindMaster(SteadyTime deadline);

 private:
  aio::Task<Result<Endpoint>> Ask(const Endpoint& sentinel, SteadyTime deadline);

  Connector& connector_;
  const LoginOptions login_;
  const std::vector<Endpoint> endpoints_;
  const std::string master_;
  std::size_t first_ = 0;
};

}  // namespace lazaret::redis
