#include "clamd/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>
#include <system_error>
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
  std::vector<asio::posix::stream_descriptor> listeners;  // copies, so that every thread waits for the same ones
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
  for (const std::string& address : server->settings_.listen) {
    auto listener = Listener::Open(address, server->settings_.access);
    if (!listener) return std::unexpected(listener.error());
    server->listeners_.push_back(*std::move(listener));
  }
  for (std::size_t i = 0; i < server->settings_.threads; ++i) {
    auto thread = std::make_unique<Thread>(log);
    for (const Listener& listener : server->listeners_) {
      UniqueFd copy(::fcntl(listener.fd(), F_DUPFD_CLOEXEC, 0));
      if (!copy) return std::unexpected(SystemError("listening for clamd clients", errno));
      thread->listeners.emplace_back(thread->io.io(), copy.Release());
    }
    server->threads_.push_back(std::move(thread));
  }
  return server;
}

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> addresses;
  for (const Listener& listener : listeners_) addresses.push_back(listener.address());
  return addresses;
}

void Server::Start() {
  for (auto& thread : threads_) {
    thread->io.tasks().Spawn(thread->io.Sweep());
    for (std::size_t i = 0; i < listeners_.size(); ++i) thread->io.tasks().Spawn(Accept(*thread, i));
    thread->thread = std::jthread([&io = thread->io.io()] { io.run(); });
  }
}

aio::Task<> Server::Accept(Thread& thread, std::size_t listener) {
  asio::posix::stream_descriptor& descriptor = thread.listeners[listener];
  const int family = listeners_[listener].family();
  const asio::generic::stream_protocol protocol(family, family == AF_UNIX ? 0 : IPPROTO_TCP);
  for (;;) {
    const auto [failed] =
        co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    UniqueFd fd(::accept4(descriptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      // Another thread was faster, or the client has left.
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) continue;
      // Out of descriptors, mostly: the pause lets others end.
      log_.Error("cannot accept a clamd connection", {{"error", std::generic_category().message(errno)}});
      co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(100));
      continue;
    }
    if (connections_ >= settings_.max_connections) {
      (void)::send(fd.Get(), kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      continue;
    }
    const int on = 1;
    if (family != AF_UNIX) ::setsockopt(fd.Get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Channel::Socket socket(thread.io.io());
    boost::system::error_code refused;
    socket.assign(protocol, fd.Get(), refused);
    if (refused) continue;
    (void)fd.Release();
    Seat seat(connections_);
    thread.io.tasks().Spawn(Serve(thread, std::move(socket), std::move(seat)));
  }
}

aio::Task<> Server::Serve(Thread& thread, Channel::Socket socket, Seat) {
  Connection connection(std::move(socket), thread.io, inspector_, settings_.connection, draining_);
  co_await connection.Run();
}

void Server::CloseListeners(Thread& thread) {
  for (asio::posix::stream_descriptor& listener : thread.listeners) {
    boost::system::error_code ignored;
    listener.close(ignored);
  }
}

aio::Task<> Server::Drain(SteadyTime deadline) {
  draining_ = true;
  for (auto& thread : threads_) {
    asio::post(thread->io.io(), [&thread = *thread] {
      CloseListeners(thread);
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
      CloseListeners(thread);
      thread.io.tasks().Close();
      thread.io.tasks().CancelAll();
      thread.work.reset();
    });
    thread->thread.join();
  }
}

}  // namespace lazaret::clamd
