#include "http/server.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

#include "aio/deadline.h"

namespace lazaret::http {
namespace asio = boost::asio;

struct Server::Thread {
  explicit Thread(Log& log) : io(log), work(asio::make_work_guard(io.io())) {}

  IoThread io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<net::Acceptor> acceptors;
  std::jthread thread;
};

Server::Server(ServerSettings settings, Handler& handler, Log& log)
    : settings_(std::move(settings)), handler_(handler), log_(log) {}

Server::~Server() { Stop(); }

Result<std::unique_ptr<Server>> Server::Listen(ServerSettings settings, Handler& handler, Log& log) {
  std::unique_ptr<Server> server(new Server(std::move(settings), handler, log));
  for (std::size_t i = 0; i < server->settings_.threads; ++i) server->threads_.push_back(std::make_unique<Thread>(log));
  for (const std::string& address : server->settings_.listen) {
    auto listener = net::Listener::Open(address, server->settings_.socket_mode);
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
      log_.Error("cannot accept a connection", {{"error", socket.error().what}});
      co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(100));
      continue;
    }
    if (connections_ >= settings_.max_connections) {
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: application/problem+json\r\n"
          "Content-Length: 109\r\nConnection: close\r\n\r\n"
          R"x({"type":"urn:lazaret:problem:overloaded","status":503,"detail":"too many connections (http.max_connections)"})x";
      (void)::send(socket->native_handle(), kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      continue;
    }
    thread.io.tasks().Spawn(Serve(thread, *std::move(socket)));
  }
}

aio::Task<> Server::Serve(Thread& thread, net::Socket socket) {
  struct Count {
    std::atomic<std::size_t>& n;
    explicit Count(std::atomic<std::size_t>& count) : n(count) { ++n; }
    ~Count() { --n; }
  } count(connections_);
  Connection connection(std::move(socket), thread.io, handler_, settings_.connection, draining_);
  co_await connection.Run();
}

aio::Task<> Server::Drain(SteadyTime deadline) {
  draining_ = true;
  for (net::Listener& listener : listeners_) listener.Close();
  for (auto& thread : threads_) {
    asio::post(thread->io.io(), [&thread = *thread] {
      for (net::Acceptor& acceptor : thread.acceptors) {
        boost::system::error_code ignored;
        acceptor.close(ignored);
      }
      thread.io.WakeIdle();
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
      for (net::Acceptor& acceptor : thread.acceptors) {
        boost::system::error_code ignored;
        acceptor.close(ignored);
      }
      thread.io.tasks().Close();
      thread.io.tasks().CancelAll();
      thread.work.reset();
    });
    thread->thread.join();
  }
}

}  // namespace lazaret::http
