#include "http/upload.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aio/blocking_pool.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "http/connection.h"

namespace lazaret::http {
namespace {

namespace fs = std::filesystem;

class Thread final : public net::IoThread {
 public:
  explicit Thread(Log& log) : IoThread("connection", log) {}
  aio::Task<> Serve(net::Socket, const std::atomic<bool>&) override { co_return; }
};

// Answers an upload with its digest.
class Digests final : public Handler, public FormSink {
 public:
  explicit Digests(Spool& spool, milliseconds disk_wait = seconds(3600))
      : spool_(spool),
        upload_({.max_parts = 10, .disk_wait = disk_wait}, spool, clock_, telemetry_, [] { return seconds(1); }) {}

  std::optional<Response> HandleNow(Exchange& exchange) override {
    upload_.TakeInNow(exchange, 16 * 1024);
    return std::nullopt;
  }
  aio::Task<Response> Handle(Exchange& exchange) override {
    auto boundary = upload_.FormBoundary(exchange);
    if (!boundary) co_return std::move(boundary).error();
    if (*boundary) {
      if (auto answer = co_await upload_.ReceiveForm(exchange, **boundary, *this)) co_return *std::move(answer);
      co_return Response{.body = "form", .headers = {}};
    }
    const auto content = co_await upload_.ReceiveFile(exchange, std::nullopt);
    if (!content) co_return content.error();
    if (!disk_used_at_first) disk_used_at_first = spool_.disk_used();
    co_return Response{.body = (*content)->digest().Hex(), .headers = {}};
  }
  aio::Task<std::optional<Response>> OnFile(std::string, ContentPtr content) override {
    files.push_back(content->digest());
    co_return std::nullopt;
  }
  bool MayWait() const override { return may_wait; }
  Response OnBadHead(const Error&) override { return Response{.status = 400, .body = {}, .headers = {}}; }

  bool may_wait = false;
  std::vector<Digest> files;
  std::optional<std::uint64_t> disk_used_at_first;  // when the first file was whole

 private:
  const Spool& spool_;
  SystemClock clock_;
  Telemetry telemetry_;
  const Upload upload_;
};

// Clients that send as much as their sockets take, and a disk that stands still until it is let go. All contents go to
// the disk.
class UploadTest : public testing::Test {
 protected:
  UploadTest() {
    auto spool = Spool::Open({.directory = directory_,
                              .max_content = kBytes * 2,
                              .memory_file_size = 0,
                              .memory_budget = 0,
                              .disk_budget = std::uint64_t{1} << 40},
                             disk_);
    spool_ = *std::move(spool);
    Serve(seconds(3600));
    disk_.Post([free = free_.get_future()] { free.wait(); });
  }
  ~UploadTest() override {
    FreeDisk();
    for (Client& client : clients_) client.socket.Reset();
    thread_.io().restart();
    thread_.io().run();
    fs::remove_all(directory_);
  }

  void Serve(milliseconds disk_wait) { handler_ = std::make_unique<Digests>(*spool_, disk_wait); }

  // Lets the disk go on.
  void FreeDisk() {
    if (!std::exchange(is_free_, true)) free_.set_value();
  }

  struct Client {
    UniqueFd socket;
    std::string unsent;
    std::string received;
    std::unique_ptr<Connection> connection;
  };

  Client& Connect(std::string request) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) std::abort();
    net::Socket server(thread_.io());
    server.assign(boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[1]);
    clients_.push_back({.socket = UniqueFd(ends[0]),
                        .unsent = std::move(request),
                        .received = {},
                        .connection = std::make_unique<Connection>(std::move(server), thread_, date_, *handler_,
                                                                   settings_, draining_)});
    EXPECT_TRUE(thread_.tasks().Spawn(clients_.back().connection->Run()));
    return clients_.back();
  }

  // Until nothing moves any more without the disk.
  void Go() {
    for (bool moves = true; moves;) {
      moves = false;
      for (Client& client : clients_) {
        const ssize_t sent = ::send(client.socket.Get(), client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
        if (sent > 0) client.unsent.erase(0, static_cast<std::size_t>(sent));
        std::array<char, 4096> piece;
        const ssize_t got = ::recv(client.socket.Get(), piece.data(), piece.size(), 0);
        if (got > 0) client.received.append(piece.data(), static_cast<std::size_t>(got));
        moves = moves || sent > 0 || got > 0;
      }
      thread_.io().restart();
      moves = thread_.io().poll() > 0 || moves;
    }
  }
  // Until `client` has an answer, or far too long.
  void Await(const Client& client) {
    AwaitThat([&] { return !client.received.empty(); });
  }
  template <class Condition>
  void AwaitThat(Condition holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!holds() && std::chrono::steady_clock::now() < end) {
      Go();
      thread_.io().restart();
      thread_.io().run_for(milliseconds(1));
    }
  }

  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr int kTurns = 64;  // at the disk

  const fs::path directory_ = fs::path(testing::TempDir()) / ("upload" + std::to_string(::getpid()));
  Log log_{LogFormat::kText, LogLevel::kError};
  std::promise<void> free_;
  bool is_free_ = false;
  aio::BlockingPool disk_{1};
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Digests> handler_;
  const ConnectionSettings settings_;
  const std::atomic<bool> draining_ = false;
  DateField date_;
  Thread thread_{log_};
  std::deque<Client> clients_;
};

struct WaitingBody {
  std::string name;
  bool with_head;  // comes before it can be known that it has to wait
  std::size_t bytes;
};

class WaitingUploadTest : public UploadTest, public testing::WithParamInterface<WaitingBody> {};
INSTANTIATE_TEST_SUITE_P(Body, WaitingUploadTest,
                         testing::Values(WaitingBody{"WithTheHead", true, 256 * 1024},
                                         WaitingBody{"BehindTheHead", false, 256 * 1024},
                                         WaitingBody{"SmallWithTheHead", true, 16 * 1024},
                                         WaitingBody{"SmallBehindTheHead", false, 16 * 1024}),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(WaitingUploadTest, HoldsNoReadBuffer) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's malloc does not count";
#endif
  constexpr std::size_t kClients = 1200;
  const std::size_t bytes = GetParam().bytes;
  const auto part = [](std::string_view data) {
    return fmt::format("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n{}\r\n", data);
  };
  const std::string file(bytes, 'f');
  // The first file is whole when the second has to wait.
  const std::string form = part("") + part(file) + "--b--\r\n";
  const auto content = [&](std::size_t i) { return fmt::format("{:06}", i) + std::string(bytes - 6, 'x'); };
  const auto body = [&](std::size_t i) -> std::string {
    if (i % 3 == 0) return content(i);
    if (i % 3 == 1) return form;
    constexpr std::size_t kChunk = 1000;
    std::string chunks;
    const std::string whole = content(i);
    for (std::size_t at = 0; at < bytes; at += kChunk) {
      const std::string_view chunk = std::string_view(whole).substr(at, kChunk);
      chunks += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    return chunks + "0\r\n\r\n";
  };
  for (std::size_t i = 0; i < kClients; ++i) {
    Connect(fmt::format("POST / HTTP/1.1\r\nHost: a\r\n{}\r\n{}\r\n",
                        i % 3 == 2 ? "Transfer-Encoding: chunked" : fmt::format("Content-Length: {}", body(i).size()),
                        i % 3 == 1 ? "Content-Type: multipart/form-data; boundary=b\r\n" : ""));
  }
  if (!GetParam().with_head) Go();
  for (std::size_t i = 0; i < kClients; ++i) clients_[i].unsent += body(i);
  const auto allocated = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
  const std::size_t before = allocated();
  Go();
  constexpr std::size_t kBuffers = kTurns + net::BufferPool::kMostKept;
  EXPECT_LT(allocated(), before + kBuffers * net::BufferPool::kBufferBytes + kClients * (6 << 10));
  FreeDisk();
  for (std::size_t i = 0; i < kClients; ++i) {
    Await(clients_[i]);
    const std::string answer = i % 3 == 1 ? "form" : Sha256::Of(AsBytes(content(i))).Hex();
    EXPECT_TRUE(clients_[i].received.ends_with("\r\n\r\n" + answer)) << clients_[i].received;
  }
  EXPECT_EQ(std::ranges::count(handler_->files, Sha256::Of(AsBytes(file))), kClients / 3);
  EXPECT_EQ(handler_->files.size(), kClients / 3 * 2);
}

// The turn is given back for each file, and the next one waits for its own.
TEST_F(UploadTest, FilesOfAFormThatMayWaitKeepTheirBytes) {
  handler_->may_wait = true;
  FreeDisk();
  std::string form;
  std::vector<Digest> expected;
  for (const std::size_t size : {0, 1, 3000, 100'000, 5, 70'000, 2000}) {
    const std::string file(size, static_cast<char>('a' + expected.size()));
    form += fmt::format("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n{}\r\n", file);
    expected.push_back(Sha256::Of(AsBytes(file)));
  }
  form += "--b--\r\n";
  const Client& client =
      Connect(fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nContent-Type: multipart/form-data; "
                          "boundary=b\r\n\r\n{}",
                          form.size(), form));
  Await(client);
  EXPECT_TRUE(client.received.ends_with("\r\n\r\nform")) << client.received;
  EXPECT_EQ(handler_->files, expected);
}

TEST_F(UploadTest, WhatHasBeenReadWaitsForTheDiskOnce) {
  std::string body;
  for (int i = 0; i < 100; ++i) body += "1\r\nx\r\n";
  constexpr std::size_t kClients = 100;
  for (std::size_t i = 0; i < kClients; ++i) {
    Connect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "0\r\n\r\n");
  }
  Go();
  FreeDisk();
  for (const Client& client : clients_) {
    Await(client);
    EXPECT_TRUE(client.received.ends_with(Sha256::Of(AsBytes(std::string(100, 'x'))).Hex()));
  }
  // No other had begun when the first was done.
  constexpr std::uint64_t kTurns = 64;
  constexpr std::uint64_t kOneFile = 1 << 20;
  EXPECT_LE(handler_->disk_used_at_first, kTurns * kOneFile);
}

TEST_F(UploadTest, RefusesWhatWaitsTooLongForTheDisk) {
  Serve(milliseconds(20));
  const std::string body(kBytes, 'x');
  constexpr int kClients = 100;
  for (int i = 0; i < kClients; ++i) {
    Connect(fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", kBytes, body));
  }
  const auto refused = [&] {
    return std::ranges::count_if(clients_, [](const Client& client) {
      return client.received.starts_with("HTTP/1.1 503 ") &&
             client.received.find("\r\nRetry-After: 1\r\n") != std::string::npos;
    });
  };
  AwaitThat([&] { return refused() >= kClients - kTurns; });
  EXPECT_EQ(refused(), kClients - kTurns);
  EXPECT_EQ(std::ranges::count_if(clients_, [](const Client& client) { return client.received.empty(); }), kTurns)
      << "they have their turn";
}

TEST_F(UploadTest, WhoSendsPartsOfAChunkHeaderKeepsNobodyFromTheDisk) {
  FreeDisk();
  for (int i = 0; i < 200; ++i) Connect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  Go();
  for (Client& client : clients_) client.unsent = "1";
  Go();
  const std::string body(kBytes, 'x');
  Client& whole = Connect(fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", kBytes, body));
  Await(whole);
  EXPECT_TRUE(whole.received.ends_with(Sha256::Of(AsBytes(body)).Hex())) << whole.received;
}

}  // namespace
}  // namespace lazaret::http
