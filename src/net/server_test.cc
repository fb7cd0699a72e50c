#include "net/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <filesystem>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "base/unix_socket.h"

namespace lazaret::net {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::MatchesRegex;

// Answers each byte with the same one until the client ends; 'x' is more than it can bear.
class EchoThread final : public IoThread {
 public:
  explicit EchoThread(Log& log) : IoThread("echo connection", log) {}

  aio::Task<> Serve(Socket socket, const std::atomic<bool>& draining) override {
    Wait wait(socket);
    const Watch watch(*this, wait);
    while (!draining) {
      char byte = 0;
      if (::recv(socket.native_handle(), &byte, 1, MSG_DONTWAIT) == 1) {
        if (byte == 'x') throw std::runtime_error("it was an x");
        (void)::send(socket.native_handle(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
      }
      const auto [failed] = co_await socket.async_wait(Socket::wait_read, asio::as_tuple(asio::use_awaitable));
      if (failed || wait.is_over) co_return;
      char next = 0;
      if (::recv(socket.native_handle(), &next, 1, MSG_DONTWAIT | MSG_PEEK) == 0) co_return;
    }
  }

 private:
  struct Wait final : Deadlines {
    explicit Wait(Socket& s) : socket(s) {}
    void Check(SteadyTime) override {}
    void EndIfIdle() override {
      is_over = true;
      boost::system::error_code ignored;
      socket.cancel(ignored);
    }
    Socket& socket;
    bool is_over = false;
  };
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() { fs::create_directories(root_); }
  ~ServerTest() override { fs::remove_all(root_); }

  Result<std::unique_ptr<Server>> Listen(std::size_t max_connections = 10, std::size_t threads = 2) {
    return Server::Listen({.listen = {"unix:" + path_.native(), "127.0.0.1:0"},
                           .socket_mode = 0640,
                           .socket_owner = {},
                           .threads = threads,
                           .max_connections = max_connections},
                          {.make_thread = [this] { return std::make_unique<EchoThread>(log_); }, .busy = "too many"},
                          log_);
  }
  UniqueFd Connect() const {
    auto socket = ConnectToUnixSocket(path_);
    EXPECT_TRUE(socket);
    if (!socket) return UniqueFd();
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket->Get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return *std::move(socket);
  }
  // What comes back until the end, or until as much has come as is asked for.
  static std::string Receive(const UniqueFd& socket, std::size_t most = SIZE_MAX) {
    std::string text;
    for (char byte; text.size() < most && ::recv(socket.Get(), &byte, 1, 0) == 1;) text += byte;
    return text;
  }
  static std::string Echo(const UniqueFd& socket, char byte) {
    EXPECT_EQ(::send(socket.Get(), &byte, 1, MSG_NOSIGNAL), 1);
    return Receive(socket, 1);
  }
  static void Drain(Server& server, SteadyTime deadline) {
    asio::io_context io;
    auto drained = asio::co_spawn(io, server.Drain(deadline), asio::use_future);
    io.run();
    drained.get();
  }

  Log log_{LogFormat::kText, LogLevel::kError};
  const fs::path root_ = fs::path(testing::TempDir()) / fmt::format("serve{}", ::getpid());
  const fs::path path_ = root_ / "s";
};

TEST_F(ServerTest, ServesEveryAddressOnEveryThread) {
  const auto server = Listen();
  ASSERT_TRUE(server) << server.error().what;
  ASSERT_EQ((*server)->addresses().size(), 2u);
  EXPECT_EQ((*server)->addresses()[0], "unix:" + path_.native());
  EXPECT_THAT((*server)->addresses()[1], MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  (*server)->Start();
  for (const char byte : {'a', 'b', 'c', 'd'}) EXPECT_EQ(Echo(Connect(), byte), std::string(1, byte));
}

TEST_F(ServerTest, TellsAConnectionTooManyAndTakesTheNextOneWhenOneHasGone) {
  const auto server = Listen(2);
  ASSERT_TRUE(server) << server.error().what;
  (*server)->Start();
  UniqueFd first = Connect();
  const UniqueFd second = Connect();
  EXPECT_EQ(Echo(first, 'a'), "a");
  EXPECT_EQ(Echo(second, 'b'), "b");
  EXPECT_EQ((*server)->connections(), 2u);
  EXPECT_EQ(Receive(Connect()), "too many");
  first.Reset();
  while ((*server)->connections() > 1) std::this_thread::yield();
  EXPECT_EQ(Echo(Connect(), 'c'), "c");
}

TEST_F(ServerTest, AConnectionThatThrowsTakesNothingWithIt) {
  const auto server = Listen(1, 1);
  ASSERT_TRUE(server) << server.error().what;
  (*server)->Start();
  EXPECT_EQ(Echo(Connect(), 'x'), "");
  while ((*server)->connections() > 0) std::this_thread::yield();
  EXPECT_EQ(Echo(Connect(), 'a'), "a");
}

TEST_F(ServerTest, DrainsWhatIsIdleAndLetsNobodyIn) {
  const auto server = Listen();
  ASSERT_TRUE(server) << server.error().what;
  (*server)->Start();
  const UniqueFd idle = Connect();
  EXPECT_EQ(Echo(idle, 'a'), "a");
  EXPECT_FALSE((*server)->is_draining());
  Drain(**server, SteadyTime::max());
  EXPECT_TRUE((*server)->is_draining());
  EXPECT_EQ((*server)->connections(), 0u);
  EXPECT_EQ(Receive(idle), "");
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_FALSE(ConnectToUnixSocket(path_));
}

TEST_F(ServerTest, StopsWithoutWaitingForAnybody) {
  const auto server = Listen();
  ASSERT_TRUE(server) << server.error().what;
  (*server)->Start();
  const UniqueFd client = Connect();
  EXPECT_EQ(Echo(client, 'a'), "a");
  (*server)->Stop();
  EXPECT_EQ((*server)->connections(), 0u);
  EXPECT_EQ(Receive(client), "");
  (*server)->Stop();
}

TEST_F(ServerTest, FailsWhereItCannotListen) {
  const auto first = Listen();
  ASSERT_TRUE(first) << first.error().what;
  const auto second = Listen();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace lazaret::net
