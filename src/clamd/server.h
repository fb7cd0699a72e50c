#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "aio/task.h"
#include "base/log.h"
#include "clamd/connection.h"
#include "clamd/inspector.h"
#include "net/listener.h"

namespace lazaret::clamd {

struct ServerSettings {
  std::vector<std::string> listen;  // as net::Listener::Open takes them; port 0 lets the kernel choose
  mode_t socket_mode = 0600;        // of the files of Unix sockets
  std::string socket_owner;         // and whose they are
  std::size_t threads = 1;
  std::size_t max_connections = 1000;
  ConnectionSettings connection;
};

// Listens, accepts and runs connections on threads of its own.
class Server {
 public:
  // Fails as net::Listener::Open does. `inspector` and `log` outlive it.
  static Result<std::unique_ptr<Server>> Listen(ServerSettings settings, Inspector& inspector, Log& log);
  ~Server();

  void Start();
  // Accepts nothing more, removes the files of Unix sockets and waits until what is under way has been answered, at
  // most until `deadline`. Any executor.
  aio::Task<> Drain(SteadyTime deadline);
  // Drops what is left and ends the threads.
  void Stop();

  std::vector<std::string> addresses() const;  // as bound
  std::size_t connections() const { return connections_; }

 private:
  struct Thread;
  class Seat;
  Server(ServerSettings settings, Inspector& inspector, Log& log);
  aio::Task<> Accept(Thread& thread, net::Acceptor& acceptor);
  aio::Task<> Serve(Thread& thread, net::Socket socket, Seat seat);
  static void CloseAcceptors(Thread& thread);

  const ServerSettings settings_;
  Inspector& inspector_;
  Log& log_;
  std::vector<net::Listener> listeners_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> draining_ = false;
};

}  // namespace lazaret::clamd
