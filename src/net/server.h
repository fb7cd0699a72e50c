#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "net/io_thread.h"
#include "net/listener.h"

namespace lazaret::net {

struct ServerSettings {
  std::vector<std::string> listen;  // as Listener::Open takes them; port 0 lets the kernel choose
  mode_t socket_mode = 0600;        // of the files of Unix sockets
  std::string socket_owner;         // and whose they are
  std::size_t threads = 1;
  std::size_t max_connections = 1000;
};

// What one front door does in its own way.
struct Protocol {
  std::function<std::unique_ptr<IoThread>()> make_thread;  // called by Listen, once for each thread
  std::string_view busy;  // sent to a connection too many, before it is closed; static storage
};

// Listens, accepts and runs connections, each on one of its threads.
class Server {
 public:
  // Fails as Listener::Open does. `log` outlives it.
  static Result<std::unique_ptr<Server>> Listen(ServerSettings settings, const Protocol& protocol, Log& log);
  ~Server();

  void Start();
  // Accepts nothing more, removes the files of Unix sockets and waits until what is under way has been answered, at
  // most until `deadline`. Any executor.
  aio::Task<> Drain(SteadyTime deadline);
  // Drops what is left and ends the threads.
  void Stop();

  std::vector<std::string> addresses() const;  // as bound
  // Any thread.
  std::size_t connections() const { return connections_; }
  bool is_draining() const { return draining_; }

 private:
  struct Thread;
  class Seat;
  Server(ServerSettings settings, std::string_view busy, Log& log);
  aio::Task<> Accept(IoThread& thread, Acceptor& acceptor);
  aio::Task<> Serve(IoThread& thread, Socket socket, Seat seat);

  const ServerSettings settings_;
  const std::string_view busy_;
  Log& log_;
  std::vector<Listener> listeners_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> draining_ = false;
};

}  // namespace lazaret::net
