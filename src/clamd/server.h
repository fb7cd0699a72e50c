#pragma once

#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "clamd/connection.h"
#include "clamd/inspector.h"
#include "net/server.h"

namespace lazaret::clamd {

struct ServerSettings {
  net::ServerSettings net;
  ConnectionSettings connection;
};

// A server that speaks clamd's protocol. Fails as net::Server::Listen does. `inspector` and `log` outlive it.
Result<std::unique_ptr<net::Server>> Listen(ServerSettings settings, Inspector& inspector, Log& log);

}  // namespace lazaret::clamd
