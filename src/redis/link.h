#pragma once

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "aio/broadcast.h"
#include "aio/task.h"
#include "base/log.h"
#include "redis/backoff.h"
#include "redis/connector.h"

namespace lazaret::redis {

struct LinkOptions {
  LoginOptions login;
  milliseconds connect_timeout{1000};  // of one attempt
  milliseconds first_pause{50};        // between attempts, growing
  milliseconds longest_pause{2000};
  std::size_t max_blocking = 256;  // connections for blocking commands
};

// A connection to one server that comes back by itself, and further ones for commands that block. While the first
// attempt since the start or since a loss is under way callers wait for it; when it has failed they are refused at once
// until one succeeds. One executor. Owned by its users and its task; its last user calls Retire.
class Link : public std::enable_shared_from_this<Link> {
 public:
  // Where the server is now; asked before every attempt. Tasks that it returns must own what they use.
  using Locate = std::function<aio::Task<Result<Endpoint>>(SteadyTime deadline)>;

  // The references must outlive its task, which is one of the connector's group. `on_lost` is called when a connection
  // that was up is lost, or an attempt has failed; until Retire.
  static std::shared_ptr<Link> Start(Connector& connector, LinkOptions options, Locate locate,
                                     std::function<void()> on_lost, Log& log);

  // As Connection::CallAll.
  aio::Task<Result<std::vector<Reply>>> CallAll(std::span<const Command> commands, SteadyTime deadline);
  // The same on a connection that nobody else uses meanwhile. It is closed when the call does not come to its end.
  aio::Task<Result<std::vector<Reply>>> CallBlocking(std::span<const Command> commands, SteadyTime deadline);

  // Whether a connection is up.
  bool is_up() const { return connection_ != nullptr && connection_->is_open(); }
  // Where it was last located; empty before.
  const std::optional<Endpoint>& endpoint() const { return endpoint_; }
  // Gives up the connection, because it is not to the right server; a new one is made after a pause when `pause`.
  void Drop(std::string why, bool pause);
  enum class Ending { kNow, kAnswered };  // what waits is broken off, or answered first
  // Takes no more commands and ends.
  void Retire(Ending ending);

 private:
  using ConnectionPtr = std::shared_ptr<Connection>;
  class Blocking;

  Link(Connector& connector, LinkOptions options, Locate locate, std::function<void()> on_lost, Log& log);
  static aio::Task<> Run(std::shared_ptr<Link> self);
  aio::Task<Result<ConnectionPtr>> Connect();
  aio::Task<Result<std::vector<Reply>>> CallWhenConnected(std::span<const Command> commands, SteadyTime deadline);
  aio::Task<Result<ConnectionPtr>> WaitForConnection(SteadyTime deadline);
  void Report(const Error& why);

  Connector& connector_;
  const LinkOptions options_;
  const Locate locate_;
  std::function<void()> on_lost_;
  Log& log_;
  Backoff backoff_;
  ConnectionPtr connection_;
  std::optional<Endpoint> endpoint_;
  std::optional<Error> down_;  // why the last attempt failed, while there is no connection
  std::shared_ptr<aio::Broadcast<Result<ConnectionPtr>>> attempt_;
  std::vector<ConnectionPtr> idle_;                  // for blocking commands
  std::vector<std::weak_ptr<Connection>> blocking_;  // all of them, in use or idle
  std::size_t opening_ = 0;
  boost::asio::steady_timer pause_;
  bool pause_after_drop_ = false;
  bool lost_lately_ = false;
  bool reported_ = false;
  bool retired_ = false;
};

}  // namespace lazaret::redis
