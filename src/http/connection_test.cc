#include "http/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <utility>

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

TEST(Connection, GoesOnWhereTheSocketTookNoMore) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const UniqueFd client(ends[0]);
  Log log(LogFormat::kText, LogLevel::kError);
  Thread thread(log);
  DateField date;
  LongAnswers handler;
  const ConnectionSettings settings;
  const std::atomic<bool> draining = false;
  net::Socket server(thread.io());
  server.assign(boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[1]);
  Connection connection(std::move(server), thread, date, handler, settings, draining);
  ASSERT_TRUE(thread.tasks().Spawn(connection.Run()));

  const std::string requests =
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  ASSERT_EQ(::send(client.Get(), requests.data(), requests.size(), 0), std::ssize(requests));
  std::string received;
  std::array<char, 65536> piece;
  for (;;) {
    // Nothing is read before the server has done all that it can.
    thread.io().restart();
    thread.io().poll();
    const ssize_t n = ::recv(client.Get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (n <= 0) break;
    received.append(piece.data(), static_cast<std::size_t>(n));
  }
  for (const std::string_view path : {"/1", "/2"}) {
    const std::string body = std::string(path) + std::string(LongAnswers::kBytes, 'x') + "end";
    const auto at = received.find("\r\n\r\n");
    ASSERT_NE(at, std::string::npos) << path;
    EXPECT_EQ(received.compare(at + 4, body.size(), body), 0) << path;
    received.erase(0, at + 4 + body.size());
  }
  EXPECT_TRUE(received.empty());
  ::shutdown(client.Get(), SHUT_WR);
  thread.io().restart();
  thread.io().run();
}

}  // namespace
}  // namespace lazaret::http
