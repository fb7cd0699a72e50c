#include "http/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "base/unique_fd.h"
#include "net/sample_connection.h"

namespace lazaret::http {
namespace {

namespace asio = boost::asio;

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
class ConnectionTest : public testing::TestWithParam<int> {
 protected:
  struct Peer {
    UniqueFd socket;
    std::unique_ptr<Connection> connection;
    std::string received = {};

    void Say(std::string_view text) const {
      EXPECT_EQ(::send(socket.Get(), text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text));
    }
  };

  Peer Connect(Handler& handler) {
    auto [server, client] = net::SampleConnection(thread_.io(), GetParam());
    Peer peer{std::move(client),
              std::make_unique<Connection>(std::move(server), thread_, date_, handler, settings_, draining_)};
    EXPECT_TRUE(thread_.tasks().Spawn(peer.connection->Run()));
    return peer;
  }
  // Until nothing moves any more. Nothing is read before the server has done all that it can.
  void Go(Peer& peer) {
    std::array<char, 65536> some;
    // Over TCP things may take a moment to arrive.
    for (int still = 0; still < 3;) {
      thread_.io().restart();
      const std::size_t done = still == 0 ? thread_.io().poll() : thread_.io().run_for(milliseconds(1));
      const ssize_t n = ::recv(peer.socket.Get(), some.data(), some.size(), MSG_DONTWAIT);
      if (n > 0) peer.received.append(some.data(), static_cast<std::size_t>(n));
      still = done == 0 && n <= 0 ? still + 1 : 0;
    }
  }
  bool IsOver() { return thread_.tasks().size() == 0; }

  // Sends `requests`, of which the last asks to close, and returns what comes for them.
  std::string Talk(Handler& handler, std::string_view requests) {
    return TalkInSteps(handler, {std::string(requests)});
  }
  // The same with pieces of requests, each sent when nothing moves any more.
  std::string TalkInSteps(Handler& handler, const std::vector<std::string>& pieces) {
    Peer peer = Connect(handler);
    for (const std::string& piece : pieces) {
      peer.Say(piece);
      Go(peer);
    }
    ::shutdown(peer.socket.Get(), SHUT_WR);
    while (!IsOver()) Go(peer);
    return peer.received;
  }

  Log log_{LogFormat::kText, LogLevel::kError};
  Thread thread_{log_};
  DateField date_;
  const ConnectionSettings settings_;
  const std::atomic<bool> draining_ = false;
};

INSTANTIATE_TEST_SUITE_P(Socket, ConnectionTest, testing::Values(AF_INET, AF_UNIX),
                         [](const auto& tested) { return tested.param == AF_INET ? "Tcp" : "Unix"; });

TEST_P(ConnectionTest, GoesOnWhereTheSocketTookNoMore) {
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

TEST_P(ConnectionTest, AnswersInOrderWhetherAtOnceOrNot) {
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

TEST_P(ConnectionTest, AnswersWhateverComesWhileItWaits) {
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

TEST_P(ConnectionTest, EndsWhenItsHandlerThrowsWhileItWaits) {
  Echo handler;
  Peer peer = Connect(handler);
  peer.Say("GET /now/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  Go(peer);
  EXPECT_NE(peer.received.find("/now/1"), std::string::npos);
  EXPECT_FALSE(IsOver());
  peer.Say("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n");
  Go(peer);
  EXPECT_TRUE(IsOver());
}

TEST_P(ConnectionTest, EndsWhenTheClientHasSentItsLastRequest) {
  Echo handler;
  for (const std::string_view path : {"/now", "/later"}) {
    Peer peer = Connect(handler);
    peer.Say(fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", path));
    ::shutdown(peer.socket.Get(), SHUT_WR);
    Go(peer);
    EXPECT_NE(peer.received.find(fmt::format("{} ab", path)), std::string::npos);
    EXPECT_TRUE(IsOver()) << path << ": no event tells of the end again";
  }
}

TEST_P(ConnectionTest, AnswersAllRequestsThatCameAtOnce) {
  Echo handler;
  // The first body ends where a read did, so that nothing says that there is more.
  const std::string body(8192, 'b');
  const std::string request =
      fmt::format("POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  Peer peer = Connect(handler);
  peer.Say(request + request + request);
  Go(peer);
  EXPECT_EQ(handler.at_once, 3);
  peer.socket.Reset();
  thread_.io().run();
}

// A client that has always sent the next request already.
class Flood final : public Handler {
 public:
  std::optional<Response> HandleNow(Exchange& exchange) override {
    exchange.body.TakeInNow(kBytes);
    (void)exchange.body.ReadNow();
    std::array<char, 65536> answer;
    (void)::recv(*client, answer.data(), answer.size(), MSG_DONTWAIT);
    if (!others_had_their_turn && ++answered < kMost) Say();
    return Response{.headers = {}};
  }
  aio::Task<Response> Handle(Exchange&) override { co_return Response{.status = 500, .body = {}, .headers = {}}; }
  Response OnBadHead(const Error&) override { return Response{.status = 400, .body = {}, .headers = {}}; }
  void Say() const {
    const std::string request =
        fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", kBytes, std::string(kBytes, 'b'));
    EXPECT_EQ(::send(*client, request.data(), request.size(), MSG_NOSIGNAL), std::ssize(request));
  }

  static constexpr std::size_t kBytes = 8192;
  static constexpr int kMost = 10'000;
  std::optional<int> client;
  int answered = 0;
  bool others_had_their_turn = false;
};

TEST_P(ConnectionTest, LeavesOthersTheirTurnWhateverItsClientSends) {
  Flood handler;
  Peer peer = Connect(handler);
  handler.client = peer.socket.Get();
  handler.Say();
  handler.Say();
  asio::steady_timer timer(thread_.io(), milliseconds(1));
  timer.async_wait([&](const boost::system::error_code&) { handler.others_had_their_turn = true; });
  Go(peer);
  while (!handler.others_had_their_turn) thread_.io().run_one();
  EXPECT_LT(handler.answered, Flood::kMost);
  peer.socket.Reset();
  thread_.io().restart();
  thread_.io().run();
}

TEST_P(ConnectionTest, IsIdleAfterAnAnswerAndNotWhileOneIsMade) {
  class Slow final : public Handler {
   public:
    explicit Slow(asio::io_context& io) : timer(io, SteadyTime::max()) {}
    std::optional<Response> HandleNow(Exchange& exchange) override {
      if (exchange.head.path != "/now") return std::nullopt;
      return Response{.headers = {}};
    }
    aio::Task<Response> Handle(Exchange&) override {
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
      co_return Response{.headers = {}};
    }
    Response OnBadHead(const Error&) override { return Response{.status = 400, .body = {}, .headers = {}}; }
    asio::steady_timer timer;
  };
  Slow handler(thread_.io());
  for (const bool slow : {false, true}) {
    Peer peer = Connect(handler);
    peer.Say("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    Go(peer);
    EXPECT_NE(peer.received.find("200 OK"), std::string::npos);
    if (slow) peer.Say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    Go(peer);
    thread_.EndIdle();
    Go(peer);
    EXPECT_EQ(IsOver(), !slow);
    peer.received.clear();
    handler.timer.cancel();
    Go(peer);
    EXPECT_EQ(peer.received.find("200 OK") != std::string::npos, slow);
    peer.socket.Reset();
    Go(peer);
    EXPECT_TRUE(IsOver());
  }
}

TEST_P(ConnectionTest, TakesInASmallBodyAndNoLargerOneToAnswerAtOnce) {
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
