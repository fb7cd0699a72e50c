#include "net/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace lazaret::net {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::MatchesRegex;

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() { fs::create_directories(root_); }
  ~ListenerTest() override { fs::remove_all(root_); }

  // The next connection; a client waits for it, or else the acceptor is closed.
  Result<Socket> AcceptOne(Acceptor& acceptor) {
    std::optional<Result<Socket>> accepted;
    const auto accept = [&]() -> aio::Task<> { accepted.emplace(co_await Accept(acceptor)); };
    asio::co_spawn(io_, accept, [](const std::exception_ptr& error) { EXPECT_EQ(error, nullptr); });
    io_.restart();
    io_.run();
    return *std::move(accepted);
  }

  asio::io_context io_{1};
  const fs::path root_ = fs::path(testing::TempDir()) / fmt::format("listen{}", ::getpid());
  const std::string unix_ = "unix:" + (root_ / "s").native();
};

bool IsCloseOnExec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }
bool IsNonBlocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

TEST_F(ListenerTest, PicksAPortThatAllAcceptorsShare) {
  auto listener = Listener::Open("127.0.0.1:0", 0600);
  ASSERT_TRUE(listener) << listener.error().what;
  auto first = listener->MakeAcceptor(io_);
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_THAT(listener->address(), MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  const std::string address = listener->address();
  EXPECT_TRUE(listener->MakeAcceptor(io_));
  EXPECT_EQ(listener->address(), address);
  const auto again = Listener::Open(address, 0600);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kUnavailable);
  EXPECT_THAT(again.error().what, HasSubstr(address));
}

TEST_F(ListenerTest, AcceptsOverTcp) {
  auto listener = Listener::Open("127.0.0.1:0", 0600);
  ASSERT_TRUE(listener);
  auto acceptor = listener->MakeAcceptor(io_);
  ASSERT_TRUE(acceptor);
  EXPECT_TRUE(IsCloseOnExec(acceptor->native_handle()));
  const std::string address = listener->address();
  asio::ip::tcp::socket client(io_);
  client.connect({asio::ip::address_v4::loopback(),
                  static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))});
  auto socket = AcceptOne(*acceptor);
  ASSERT_TRUE(socket) << socket.error().what;
  EXPECT_TRUE(IsCloseOnExec(socket->native_handle()));
  EXPECT_TRUE(IsNonBlocking(socket->native_handle()));
  int is_set = 0;
  socklen_t size = sizeof is_set;
  ASSERT_EQ(::getsockopt(socket->native_handle(), IPPROTO_TCP, TCP_NODELAY, &is_set, &size), 0);
  EXPECT_NE(is_set, 0);
}

TEST_F(ListenerTest, AcceptsOverAUnixSocket) {
  auto listener = Listener::Open(unix_, 0640);
  ASSERT_TRUE(listener) << listener.error().what;
  EXPECT_EQ(listener->address(), unix_);
  struct stat status{};
  ASSERT_EQ(::stat((root_ / "s").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0640u);
  auto first = listener->MakeAcceptor(io_);
  auto second = listener->MakeAcceptor(io_);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(IsCloseOnExec(first->native_handle()));
  const auto one = ConnectToUnixSocket(root_ / "s");
  const auto two = ConnectToUnixSocket(root_ / "s");
  for (Acceptor* const acceptor : {&*first, &*second}) {
    const auto socket = AcceptOne(*acceptor);
    ASSERT_TRUE(socket) << socket.error().what;
    EXPECT_TRUE(IsCloseOnExec(const_cast<Socket&>(*socket).native_handle()));
  }
  listener->Close();
  EXPECT_FALSE(fs::exists(root_ / "s"));
}

TEST_F(ListenerTest, EndsAWaitWhenTheAcceptorIsClosed) {
  auto listener = Listener::Open(unix_, 0600);
  ASSERT_TRUE(listener);
  auto acceptor = listener->MakeAcceptor(io_);
  ASSERT_TRUE(acceptor);
  asio::co_spawn(io_, [&]() -> aio::Task<> { co_return acceptor->close(); }, [](const std::exception_ptr&) {});
  const auto socket = AcceptOne(*acceptor);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, Errc::kCancelled);
}

TEST_F(ListenerTest, RefusesWhatIsNoAddress) {
  for (const std::string text : {"", "/a", "unix:", "1", "localhost:1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
                                 "[::1]", "[x]:1", "tcp:127.0.0.1:1"}) {
    const auto listener = Listener::Open(text, 0600);
    ASSERT_FALSE(listener) << text;
    EXPECT_EQ(listener.error().code, Errc::kMalformed) << text;
  }
  EXPECT_FALSE(Listener::Open("unix:/" + std::string(107, 'x'), 0600));
  EXPECT_FALSE(Listener::Open(unix_, 0600, "nobody-of-that-name"));
  EXPECT_FALSE(fs::exists(root_ / "s"));
}

}  // namespace
}  // namespace lazaret::net
