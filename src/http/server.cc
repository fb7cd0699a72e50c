#include "http/server.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"

namespace lazaret::http {
namespace asio = boost::asio;
using asio::ip::tcp;

struct Server::Thread {
  explicit Thread(Log& log) : io(log), work(asio::make_work_guard(io.io())) {}

  IoThread io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<tcp::acceptor> acceptors;
  std::jthread thread;
};

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

Result<tcp::endpoint> ParseAddress(const std::string& text) {
  const auto colon = text.rfind(':');
  const Error error{Errc::kMalformed, fmt::format("\"{}\" is not ADDRESS:PORT to listen on", text)};
  if (colon == std::string::npos) return std::unexpected(error);
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code failed;
  const auto address = asio::ip::make_address(host, failed);
  unsigned port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, bad] = std::from_chars(text.data() + colon + 1, end, port);
  if (failed || bad != std::errc() || rest != end || port > 65535) return std::unexpected(error);
  return tcp::endpoint(address, static_cast<unsigned short>(port));
}

Result<tcp::acceptor> Open(asio::io_context& io, const tcp::endpoint& endpoint) {
  tcp::acceptor acceptor(io);
  boost::system::error_code failed;
  const auto step = [&](auto action) {
    if (!failed) action();
  };
  step([&] { acceptor.open(endpoint.protocol(), failed); });
  step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), failed); });
  step([&] { acceptor.set_option(ReusePort(true), failed); });
  if (endpoint.address().is_v6()) step([&] { acceptor.set_option(asio::ip::v6_only(true), failed); });
  step([&] { acceptor.bind(endpoint, failed); });
  step([&] { acceptor.listen(4096, failed); });
  if (failed) {
    return Fail(Errc::kUnavailable, fmt::format("cannot listen on {}:{}: {}", endpoint.address().to_string(),
                                                endpoint.port(), failed.message()));
  }
  return acceptor;
}

// SO_REUSEPORT would let a second server of the same user share the port unnoticed.
Result<void> CheckNobodyListens(const tcp::endpoint& endpoint) {
  if (endpoint.port() == 0) return {};
  asio::io_context io;
  tcp::acceptor probe(io);
  boost::system::error_code failed;
  probe.open(endpoint.protocol(), failed);
  if (!failed) probe.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed && endpoint.address().is_v6()) probe.set_option(asio::ip::v6_only(true), failed);
  if (!failed) probe.bind(endpoint, failed);
  if (failed) {
    return Fail(Errc::kUnavailable, fmt::format("cannot listen on {}:{}: {}; is another server running there?",
                                                endpoint.address().to_string(), endpoint.port(), failed.message()));
  }
  return {};
}

}  // namespace

Server::Server(ServerSettings settings, Handler& handler, Log& log)
    : settings_(std::move(settings)), handler_(handler), log_(log) {}

Server::~Server() { Stop(); }

Result<std::unique_ptr<Server>> Server::Listen(ServerSettings settings, Handler& handler, Log& log) {
  std::unique_ptr<Server> server(new Server(std::move(settings), handler, log));
  for (std::size_t i = 0; i < server->settings_.threads; ++i) server->threads_.push_back(std::make_unique<Thread>(log));
  for (const std::string& text : server->settings_.listen) {
    auto endpoint = ParseAddress(text);
    if (!endpoint) return std::unexpected(endpoint.error());
    if (auto free = CheckNobodyListens(*endpoint); !free) return std::unexpected(free.error());
    for (auto& thread : server->threads_) {
      auto acceptor = Open(thread->io.io(), *endpoint);
      if (!acceptor) return std::unexpected(acceptor.error());
      *endpoint = acceptor->local_endpoint();  // the same port for every thread
      thread->acceptors.push_back(*std::move(acceptor));
    }
  }
  return server;
}

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> addresses;
  for (const tcp::acceptor& acceptor : threads_.front()->acceptors) {
    boost::system::error_code closed;
    const tcp::endpoint endpoint = acceptor.local_endpoint(closed);
    const bool v6 = endpoint.address().is_v6();
    addresses.push_back(
        fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), endpoint.address().to_string(), endpoint.port()));
  }
  return addresses;
}

void Server::Start() {
  for (auto& thread : threads_) {
    thread->io.tasks().Spawn(thread->io.Sweep());
    for (tcp::acceptor& acceptor : thread->acceptors) thread->io.tasks().Spawn(Accept(*thread, acceptor));
    thread->thread = std::jthread([&io = thread->io.io()] { io.run(); });
  }
}

aio::Task<> Server::Accept(Thread& thread, tcp::acceptor& acceptor) {
  for (;;) {
    auto [failed, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
    if (failed == asio::error::operation_aborted) co_return;
    if (failed) {
      // Out of descriptors, mostly: the pause lets others end.
      log_.Error("cannot accept a connection", {{"error", failed.message()}});
      co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(100));
      continue;
    }
    if (connections_ >= settings_.max_connections) {
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: application/problem+json\r\n"
          "Content-Length: 109\r\nConnection: close\r\n\r\n"
          R"x({"type":"urn:lazaret:problem:overloaded","status":503,"detail":"too many connections (http.max_connections)"})x";
      (void)::send(socket.native_handle(), kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      continue;
    }
    thread.io.tasks().Spawn(Serve(thread, std::move(socket)));
  }
}

aio::Task<> Server::Serve(Thread& thread, tcp::socket socket) {
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
  for (auto& thread : threads_) {
    asio::post(thread->io.io(), [&thread = *thread] {
      for (tcp::acceptor& acceptor : thread.acceptors) {
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
      for (tcp::acceptor& acceptor : thread.acceptors) {
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
