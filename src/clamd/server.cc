#include "clamd/server.h"

#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <thread>
#include <utility>

#include "aio/deadline.h"
#include "clamd/io_thread.h"

namespace lazaret::clamd {
namespace asio = boost::asio;

struct Server::Thread {
  explicit Thread(Log& log) : io(log), work(asio::make_work_guard(io.io())) {}

  IoThread io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<net::Acceptor> acceptors;
  std::jthread thread;
};

// One of the connections that there may be; given back when it goes.
class Server::Seat {
 public:
  explicit Seat(std::atomic<std::size_t>& taken) : taken_(&taken) { ++taken; }
  Seat(Seat&& other) noexcept : taken_(std::exchange(other.taken_, nullptr)) {}
  Seat& operator=(Seat&&) = delete;
  ~Seat() {
    if (taken_ != nullptr) --*taken_;
  }

 private:
  std::atomic<std::size_t>* taken_;
};

namespace {

constexpr std::string_view kBusy = "Too many connections (clamd.max_connections). ERROR\n";

}  // namespace

Server::Server(ServerSettings settings, Inspector& inspector, Log& log)
    : settings_(std::move(settings)), inspector_(inspector), log_(log) {}

Server::~Server() { Stop(); }

Result<std::unique_ptr<Server>> Server::Listen(ServerSettings settings, Inspector& inspector, Log& log) {
  std::unique_ptr<Server> server(new Server(std::move(settings), inspector, log));
  for (std::size_t i = 0; i < server->settings_.threads; ++i) server->threads_.push_back(std::make_unique<Thread>(log));
  for (const std::string& address : server->settings_.listen) {
    auto listener = net::Listener::Open(address, server->settings_.socket_mode, server->settings_.socket_owner);
    if (!listener) return std::unexpected(listener.error());
    for (auto& thread : server->threads_) {
      auto acceptor = listener->MakeAcceptor(thread->io.io());
      if (!acceptor) return std::unexpected(acceptor.error());
      thread->acceptors.push_back(*std::move(acceptor));
    }
    server->listeners_.push_back(*std::move(listener));
  }
  return server;
}

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> addresses;
  for (const net::Listener& listener : listeners_) addresses.push_back(listener.address());
  return addresses;
}

void Server::Start() {
  for (auto& thread : threads_) {
    thread->io.tasks().Spawn(thread->io.Sweep());
    for (net::Acceptor& acceptor : thread->acceptors) thread->io.tasks().Spawn(Accept(*thread, acceptor));
    thread->thread = std::jthread([&io = thread->io.io()] { io.run(); });
  }
}

aio::Task<> Server::Accept(Thread& thread, net::Acceptor& acceptor) {
  for (;;) {
    auto socket = co_await net::Accept(acceptor);
    if (!socket && socket.error().code == Errc::kCancelled) co_return;
    if (!socket) {
      // Out of descriptors, mostly: the pause lets others end.
      log_.Error("cannot accept a clamd connection", {{"error", socket.error().what}});
      co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(100));
      continue;
    }
    if (connections_ >= settings_.max_connections) {
      (void)::send(socket->native_handle(), kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      continue;
    }
    Seat seat(connections_);
    thread.io.tasks().Spawn(Serve(thread, *std::move(socket), std::move(seat)));
  }
}

aio::Task<> Server::Serve(Thread& thread, net::Socket socket, Seat) {
  Connection connection(std::move(socket), thread.io, inspector_, settings_.connection, draining_);
  co_await connection.Run();
}

void Server::CloseAcceptors(Thread& thread) {
  for (net::Acceptor& acceptor : thread.acceptors) {
    boost::system::error_code ignored;
    acceptor.close(ignored);
  }
}

aio::Task<> Server::Drain(SteadyTime deadline) {
  draining_ = true;
  for (net::Listener& listener : listeners_) listener.Close();
  for (auto& thread : threads_) {
    asio::post(thread->io.io(), [&thread = *thread] {
      CloseAcceptors(thread);
      thread.io.EndIdle();
    });
  }
  while (connections_ > 0 && std::chrono::steady_clock::now() < deadline) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(20));
  }
}

void Server::Stop() {
  for (auto& thread : threads_) {
    if (!thread->thread.joinable()) continue;
    asio::post(thread->io.io(), [&thread = *thread] {
      CloseAcceptors(thread);
      thread.io.tasks().Close();
      thread.io.tasks().CancelAll();
      thread.work.reset();
    });
    thread->thread.join();
  }
}

}  // namespace lazaret::clamd
