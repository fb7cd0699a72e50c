#include "net/server.h"

#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <thread>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"

namespace lazaret::net {
namespace asio = boost::asio;

namespace {

constexpr milliseconds kAcceptPause{100};
constexpr milliseconds kDrainLook{20};

}  // namespace

struct Server::Thread {
  explicit Thread(std::unique_ptr<IoThread> io_thread)
      : io(std::move(io_thread)), work(asio::make_work_guard(io->io())) {}

  void CloseAcceptors() {
    for (Acceptor& acceptor : acceptors) {
      boost::system::error_code ignored;
      acceptor.close(ignored);
    }
  }

  const std::unique_ptr<IoThread> io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<Acceptor> acceptors;
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

Server::Server(ServerSettings settings, std::string_view busy, Log& log)
    : settings_(std::move(settings)), busy_(busy), log_(log) {}

Server::~Server() { Stop(); }

Result<std::unique_ptr<Server>> Server::Listen(ServerSettings settings, const Protocol& protocol, Log& log) {
  std::unique_ptr<Server> server(new Server(std::move(settings), protocol.busy, log));
  for (std::size_t i = 0; i < server->settings_.threads; ++i) {
    server->threads_.push_back(std::make_unique<Thread>(protocol.make_thread()));
  }
  for (const std::string& address : server->settings_.listen) {
    auto listener = Listener::Open(address, server->settings_.socket_mode, server->settings_.socket_owner);
    if (!listener) return std::unexpected(listener.error());
    for (auto& thread : server->threads_) {
      auto acceptor = listener->MakeAcceptor(thread->io->io());
      if (!acceptor) return std::unexpected(acceptor.error());
      thread->acceptors.push_back(*std::move(acceptor));
    }
    server->listeners_.push_back(*std::move(listener));
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
    aio::TaskGroup& tasks = thread->io->tasks();
    tasks.Spawn(thread->io->Sweep());
    for (Acceptor& acceptor : thread->acceptors) tasks.Spawn(Accept(*thread->io, acceptor));
    thread->thread = std::jthread([&io = thread->io->io()] { io.run(); });
  }
}

aio::Task<> Server::Accept(IoThread& thread, Acceptor& acceptor) {
  for (;;) {
    auto socket = co_await net::Accept(acceptor);
    if (!socket && socket.error().code == Errc::kCancelled) co_return;
    if (!socket) {
      // Out of descriptors, mostly: the pause lets others end.
      log_.Error(fmt::format("cannot accept a {}", thread.connection()), {{"error", socket.error().what}});
      co_await aio::SleepUntil(std::chrono::steady_clock::now() + kAcceptPause);
      continue;
    }
    if (connections_ >= settings_.max_connections) {
      (void)::send(socket->native_handle(), busy_.data(), busy_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      continue;
    }
    Seat seat(connections_);
    thread.tasks().Spawn(Serve(thread, *std::move(socket), std::move(seat)));
  }
}

aio::Task<> Server::Serve(IoThread& thread, Socket socket, Seat) {
  co_await thread.Serve(std::move(socket), draining_);
}

aio::Task<> Server::Drain(SteadyTime deadline) {
  draining_ = true;
  for (Listener& listener : listeners_) listener.Close();
  for (auto& thread : threads_) {
    asio::post(thread->io->io(), [&thread = *thread] {
      thread.CloseAcceptors();
      thread.io->EndIdle();
    });
  }
  while (connections_ > 0 && std::chrono::steady_clock::now() < deadline) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + kDrainLook);
  }
}

void Server::Stop() {
  for (auto& thread : threads_) {
    if (!thread->thread.joinable()) continue;
    asio::post(thread->io->io(), [&thread = *thread] {
      thread.CloseAcceptors();
      thread.io->tasks().Close();
      thread.io->tasks().CancelAll();
      thread.work.reset();
    });
    thread->thread.join();
  }
}

}  // namespace lazaret::net
