#pragma once

#include <memory>
#include <string>

#include "aio/resolver.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "redis/connection.h"
#include "redis/tls.h"
#include "redis/url.h"

namespace lazaret::redis {

struct LoginOptions {
  Credentials credentials;
  unsigned database = 0;
  std::string client_name;
  bool must_be_master = false;  // ask ROLE, and refuse a replica
};

// Makes connections that are ready for commands. One executor, that of the task group, in which the connections live.
class Connector {
 public:
  // `tls` is null for plain connections. The references must outlive the connector and its connections.
  Connector(aio::TaskGroup& tasks, aio::Resolver& resolver, TlsContext tls, std::string server_name,
            ConnectionLimits limits, Counters& counters)
      : tasks_(tasks),
        resolver_(resolver),
        tls_(std::move(tls)),
        server_name_(std::move(server_name)),
        limits_(limits),
        counters_(counters) {}

  // Connects and logs in: HELLO 2 with user, password and name (AUTH and CLIENT SETNAME where HELLO is unknown),
  // SELECT, ROLE. kUnavailable, with the endpoint and the cause, when any of that fails; kTimeout at `deadline`.
  aio::Task<Result<std::shared_ptr<Connection>>> Open(Endpoint endpoint, LoginOptions options, SteadyTime deadline);

  aio::TaskGroup& tasks() const { return tasks_; }
  Counters& counters() const { return counters_; }

 private:
  aio::Task<Result<std::shared_ptr<Connection>>> Establish(const Endpoint& endpoint, const LoginOptions& options,
                                                           SteadyTime deadline);
  static aio::Task<Result<void>> LogIn(Connection& connection, const LoginOptions& options, SteadyTime deadline);

  aio::TaskGroup& tasks_;
  aio::Resolver& resolver_;
  const TlsContext tls_;
  const std::string server_name_;
  const ConnectionLimits limits_;
  Counters& counters_;
};

}  // namespace lazaret::redis
