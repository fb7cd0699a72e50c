#pragma once

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aio/resolver.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "base/log.h"
#include "redis/cluster_router.h"
#include "redis/counters.h"
#include "redis/router.h"
#include "redis/script.h"
#include "redis/single_router.h"
#include "redis/url.h"

namespace lazaret::redis {

struct ClientSettings {
  ConnectionLimits connection;
  milliseconds first_pause{50};  // between attempts to connect, growing
  milliseconds longest_pause{2000};
  std::size_t max_blocking = 256;         // connections for blocking commands, to each server
  milliseconds check_master{1000};        // how often sentinels are asked while all seems well
  milliseconds refresh_topology{30'000};  // of a cluster, while all is well
  milliseconds refresh_soon{250};         // of a cluster, while a master is not connected
  int max_redirections = 8;
};

// Commands to Redis, wherever that is: one server, the master that Sentinels name, or a cluster. It connects, and comes
// back after a loss, by itself; while it is known that a server cannot be reached, calls to it fail at once.
//
// Calls come from any executor and resume on the caller's. Keys say where a command goes: all keys of one call must be
// of one slot (use hash tags); "" goes anywhere. Failures:
//   kUnavailable   not executed: no connection, or an error reply that says so (ErrorOf)
//   kOverloaded    not executed: too many commands wait, or Redis has no memory left (OOM)
//   kTimeout, kDisconnected, kCancelled, kMalformed, kTooLarge   nobody knows whether it was executed
//   kNotFound, kCorrupt, kInternal, kMalformed   another error reply (ErrorOf, HasErrorWord)
// A call that is cancelled leaves its command behind: only a blocking one is broken off.
class Client {
 public:
  struct Options {
    SteadyTime deadline;
    // After a lost connection: kAllowed tries again what may have been executed.
    Repeat repeat = Repeat::kNever;
  };

  // Begins to connect. To be called on `executor`, which is single-threaded, or before that runs; it and the references
  // must outlive the client. kUnavailable when a file of the TLS options cannot be used.
  static Result<std::unique_ptr<Client>> Make(aio::Executor executor, const Url& url, ClientSettings settings,
                                              Log& log);
  // After Stop.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  aio::Task<Result<Reply>> Call(std::string key, Command command, Options options);
  // In one go; each has a result of its own. Empty `commands` are answered without Redis.
  aio::Task<std::vector<Result<Reply>>> CallAll(std::string key, std::vector<Command> commands, Options options);
  // For commands that wait in Redis (XREADGROUP BLOCK): on a connection of its own, so that it holds up no other. Give
  // it a deadline that is later than its own waiting time. Never repeated after a lost connection.
  aio::Task<Result<Reply>> CallBlocking(std::string key, Command command, SteadyTime deadline);
  // The same for several in one go, such as a change and the WAIT for its replicas.
  aio::Task<std::vector<Result<Reply>>> CallAllBlocking(std::string key, std::vector<Command> commands,
                                                        SteadyTime deadline);
  // Runs a script, by its name if the server knows that (one round trip), otherwise whole. The keys must be of one
  // slot; without any it runs anywhere. `script` must live until the call ends.
  aio::Task<Result<Reply>> Eval(const Script& script, std::vector<std::string> keys, std::vector<std::string> arguments,
                                Options options);

  // On the client's executor: refuses new calls, ends what is under way with kUnavailable or kDisconnected, closes the
  // connections and waits until nothing of it is left.
  aio::Task<> Stop();

  // Any thread.
  const Counters& counters() const { return counters_; }
  bool is_up() const { return counters_.up > 0; }  // there is a connection to a server

 private:
  class Using;

  Client(aio::Executor executor, const Url& url, ClientSettings settings, TlsContext tls, Log& log);
  aio::Task<std::vector<Result<Reply>>> RouteAll(std::string key, std::vector<Command> commands,
                                                 Router::Options options);
  aio::Task<Result<std::vector<Reply>>> Route(std::string_view key, std::vector<Command> commands,
                                              Router::Options options);
  aio::Task<Result<std::vector<Reply>>> RouteHere(std::uint16_t slot, std::vector<Command> commands,
                                                  Router::Options options);

  Log& log_;
  Counters counters_;
  Counters sentinel_counters_;  // so that housekeeping is not counted as calls
  aio::TaskGroup tasks_;
  aio::Resolver resolver_;
  Connector connector_;
  Connector sentinel_connector_;
  std::unique_ptr<Router> router_;
  std::size_t calls_ = 0;  // on this executor that are not in tasks_
  boost::asio::steady_timer no_calls_;
  bool stopping_ = false;
};

}  // namespace lazaret::redis
