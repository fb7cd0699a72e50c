#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "aio/task.h"
#include "base/log.h"
#include "http/connection.h"
#include "http/io_thread.h"
#include "net/listener.h"
#include "net/socket.h"

namespace lazaret::http {

struct ServerSettings {
  std::vector<std::string> listen;  // as net::Listener::Open takes them; port 0 lets the kernel choose
  mode_t socket_mode = 0600;        // of the files of Unix sockets
  std::size_t threads = 1;
  std::size_t max_connections = 10'000;
  ConnectionSettings connection;
};

// Listens, accepts and runs connections, each on one of its threads.
class Server {
 public:
  // Fails as net::Listener::Open does.
  static Result<std::unique_ptr<Server>> Listen(ServerSettings settings, Handler& handler, Log& log);
  ~Server();

  void Start();
  // Accepts nothing more, removes the files of Unix sockets and waits until the requests under way have been answered,
  // at most until `deadline`. Any executor.
  aio::Task<> Drain(SteadyTime deadline);
  // Drops what is left and ends the threads.
  void Stop();

  std::vector<std::string> addresses() const;  // as bound
  std::size_t connections() const { return connections_; }
  bool is_draining() const { return draining_; }

 private:
  struct Thread;
  Server(ServerSettings settings, Handler& handler, Log& log);
  aio::Task<> Accept(Thread& thread, net::Acceptor& acceptor);
  aio::Task<> Serve(Thread& thread, net::Socket socket);

  const ServerSettings settings_;
  Handler& handler_;
  Log& log_;
  std::vector<net::Listener> listeners_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> draining_ = false;
};

}  // namespace lazaret::http
