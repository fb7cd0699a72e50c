#include "http/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "base/unique_fd.h"

namespace lazaret::http {
namespace {

class Thread final : public net::IoThread {
 public:
  explicit Thread(Log& log) : IoThread("connection", log) {}
  aio::Task<> Serve(net::Socket, const std::atomic<bool>&) override { co_return; }
};

// Answers everything with so much that no socket takes it at once.
class LongAnswers final : public Handler {
 public:
  aio::Task<Response> Handle(Exchange& exchange) override {
    co_return Response{.body = std::string(exchange.head.path) + std::string(kBytes, 'x') + "end", .headers = {}};
  }
  Response OnBadHead(const Error&) override { return Response{.status = 400, .body = {}, .headers = {}}; }

  static constexpr std::size_t kBytes = 4 * 1024 * 1024;
};

// Answers "/now..." at once and the rest in a coroutine, each with its path and its body; "/throw" not at all.
class Echo final : public Handler {
 public:
  std::optional<Response> HandleNow(Exchange& exchange) override {
    exchange.body.TakeInNow(kMostAtOnce);
    const auto body = exchange.body.Arrived();
    if (exchange.head.path == "/throw") throw std::runtime_error("it was asked to");
    if (!exchange.head.path.starts_with("/now") || !body) return std::nullopt;
    Response response{.body = std::string(exchange.head.path) + " " + std::string(AsText(*body)), .headers = {}};
    if (exchange.head.path == "/now/long") response.body.append(kLong, 'x');
    (void)exchange.body.ReadNow();
    ++at_once;
    return response;
  }
  aio::Task<Response> Handle(Exchange& exchange) override {
    std::string body = std::string(exchange.head.path) + " ";
    for (;;) {
      const auto bytes = co_await exchange.body.Read();
      if (!bytes) co_return Response{.status = 400, .body = {}, .headers = {}};
      if (bytes->empty()) co_return Response{.body = std::move(body), .headers = {}};
      body += AsText(*bytes);
    }
  }
  Response OnBadHead(const Error&) override { return Response{.status = 400, .body = {}, .headers = {}}; }

  static constexpr std::size_t kMostAtOnce = 16 * 1024;
  static constexpr std::size_t kLong = 4 * 1024 * 1024;
  int at_once = 0;
};

// A connection whose other end the test holds.
class ConnectionTest : public testing::Test {
 protected:
  // Sends `requests`, of which the last asks to close, and returns what comes for them.
  std::string Talk(Handler& handler, std::string_view requests) {
    return TalkInSteps(handler, {std::string(requests)});
  }
  // The same with pieces of requests, each sent when nothing moves any more.
  std::string TalkInSteps(Handler& handler, const std::vector<std::string>& pieces) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const UniqueFd client(ends[0]);
    net::Socket server(thread_.io());
    server.assign(boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[1]);
    Connection connection(std::move(server), thread_, date_, handler, settings_, draining_);
    EXPECT_TRUE(thread_.tasks().Spawn(connection.Run()));
    std::string received;
    std::array<char, 65536> some;
    for (const std::string& piece : pieces) {
      EXPECT_EQ(::send(client.Get(), piece.data(), piece.size(), MSG_NOSIGNAL), std::ssize(piece));
      for (;;) {
        // Nothing is read before the server has done all that it can.
        thread_.io().restart();
        thread_.io().poll();
        const ssize_t n = ::recv(client.Get(), some.data(), some.size(), MSG_DONTWAIT);
        if (n <= 0) break;
        received.append(some.data(), static_cast<std::size_t>(n));
      }
    }
    ::shutdown(client.Get(), SHUT_WR);
    thread_.io().restart();
    thread_.io().run();
    return received;
  }

  Log log_{LogFormat::kText, LogLevel::kError};
  Thread thread_{log_};
  DateField date_;
  const ConnectionSettings settings_;
  const std::atomic<bool> draining_ = false;
};

TEST_F(ConnectionTest, GoesOnWhereTheSocketTookNoMore) {
  LongAnswers handler;
  std::string received =
      Talk(handler, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  for (const std::string_view path : {"/1", "/2"}) {
    const std::string body = std::string(path) + std::string(LongAnswers::kBytes, 'x') + "end";
    const auto at = received.find("\r\n\r\n");
    ASSERT_NE(at, std::string::npos) << path;
    EXPECT_EQ(received.compare(at + 4, body.size(), body), 0) << path;
    received.erase(0, at + 4 + body.size());
  }
  EXPECT_TRUE(received.empty());
}

TEST_F(ConnectionTest, AnswersInOrderWhetherAtOnceOrNot) {
  Echo handler;
  std::string requests;
  const std::vector<std::string> paths = {"now1", "later2", "now3", "now4", "later5", "now6"};
  for (const std::string& path : paths) {
    requests += fmt::format("POST /{0} HTTP/1.1\r\nHost: a\r\nContent-Length: {1}\r\n{2}\r\n{0}", path, path.size(),
                            &path == &paths.back() ? "Connection: close\r\n" : "");
  }
  const std::string received = Talk(handler, requests);
  std::size_t at = 0;
  for (const std::string& path : paths) {
    at = received.find(fmt::format("\r\n\r\n/{0} {0}", path), at);
    ASSERT_NE(at, std::string::npos) << path << " in " << received;
  }
  EXPECT_EQ(handler.at_once, 4);
}

TEST_F(ConnectionTest, AnswersWhateverComesWhileItWaits) {
  Echo handler;
  const auto request = [](std::string_view path, std::string_view fields = {}) {
    return fmt::format("POST {0} HTTP/1.1\r\nHost: a\r\nContent-Length: {1}\r\n{2}\r\n{0}", path, path.size(), fields);
  };
  const std::string slow = request("/later/inpieces");
  const std::string quick = request("/now/inpieces");
  const std::vector<std::string> pieces = {request("/now/1"),
                                           request("/now/2"),
                                           request("/later/3"),
                                           request("/now/4"),
                                           slow.substr(0, 10),
                                           slow.substr(10, 20),
                                           slow.substr(30),
                                           quick.substr(0, 10),
                                           quick.substr(10),
                                           request("/now/long"),
                                           request("/now/6") + request("/now/7") + request("/later/8"),
                                           request("/now/9"),
                                           request("/now/10", "Connection: close\r\n")};
  const std::string received = TalkInSteps(handler, pieces);
  std::size_t at = 0;
  for (const std::string_view path : {"/now/1", "/now/2", "/later/3", "/now/4", "/later/inpieces", "/now/inpieces",
                                      "/now/long", "/now/6", "/now/7", "/later/8", "/now/9", "/now/10"}) {
    const auto found = received.find(fmt::format("\r\n\r\n{0} {0}", path), at);
    ASSERT_NE(found, std::string::npos) << path;
    at = found;
  }
  EXPECT_EQ(std::ranges::count(received, 'x'), std::ptrdiff_t{Echo::kLong});
  EXPECT_EQ(handler.at_once, 9);
}

TEST_F(ConnectionTest, EndsWhenItsHandlerThrowsWhileItWaits) {
  Echo handler;
  const std::string received = TalkInSteps(
      handler, {"GET /now/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "GET /throw HTTP/1.1\r\nHost: a\r\n\r\n"});
  EXPECT_NE(received.find("/now/1"), std::string::npos);
  EXPECT_EQ(thread_.tasks().size(), 0u);
}

TEST_F(ConnectionTest, TakesInASmallBodyAndNoLargerOneToAnswerAtOnce) {
  Echo handler;
  std::string requests;
  const std::vector<std::size_t> sizes = {Echo::kMostAtOnce + 1, 10 * 1024, Echo::kMostAtOnce, 5000};
  std::vector<int> at_once;
  for (const std::size_t size : sizes) {
    const std::string body(size, 'b');
    const std::string received = Talk(
        handler,
        fmt::format("POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", size, body));
    EXPECT_TRUE(received.ends_with("\r\n\r\n/now " + body)) << size;
    at_once.push_back(handler.at_once);
  }
  EXPECT_EQ(at_once, (std::vector{0, 1, 2, 3}));
}

}  // namespace
}  // namespace lazaret::http
