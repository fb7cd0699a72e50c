#pragma once

#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "net/server.h"

namespace lazaret::http {

struct ServerSettings {
  net::ServerSettings net;
  ConnectionSettings connection;
};

// A server that answers HTTP requests by `handler`, which outlives it as `log` does. Fails as net::Server::Listen does.
Result<std::unique_ptr<net::Server>> Listen(ServerSettings settings, Handler& handler, Log& log);

}  // namespace lazaret::http
