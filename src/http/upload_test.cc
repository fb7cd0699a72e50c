#include "http/upload.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
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
  explicit Digests(Spool& spool) : upload_(10, spool, clock_, telemetry_, [] { return seconds(1); }) {}

  aio::Task<Response> Handle(Exchange& exchange) override {
    auto boundary = upload_.FormBoundary(exchange);
    if (!boundary) co_return std::move(boundary).error();
    if (*boundary) {
      if (auto answer = co_await upload_.ReceiveForm(exchange, **boundary, *this)) co_return *std::move(answer);
      co_return Response{.body = "form", .headers = {}};
    }
    const auto content = co_await upload_.ReceiveFile(exchange, std::nullopt);
    if (!content) co_return content.error();
    co_return Response{.body = (*content)->digest().Hex(), .headers = {}};
  }
  aio::Task<std::optional<Response>> OnFile(std::string, ContentPtr content) override {
    files.push_back(content->digest());
    co_return std::nullopt;
  }
  Response OnBadHead(const Error&) override { return Response{.status = 400, .body = {}, .headers = {}}; }

  std::vector<Digest> files;

 private:
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
    handler_ = std::make_unique<Digests>(*spool_);
    disk_.Post([free = free_.get_future()] { free.wait(); });
  }
  ~UploadTest() override {
    FreeDisk();
    for (Client& client : clients_) client.socket.Reset();
    thread_.io().restart();
    thread_.io().run();
    fs::remove_all(directory_);
  }

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
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (client.received.empty() && std::chrono::steady_clock::now() < end) {
      Go();
      thread_.io().restart();
      thread_.io().run_for(milliseconds(1));
    }
  }

  static constexpr std::size_t kBytes = 256 * 1024;

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

// Whether the body comes with its head, before it can be known that it has to wait, or behind it.
class WaitingUploadTest : public UploadTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Body, WaitingUploadTest, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "WithTheHead" : "BehindTheHead"; });

TEST_P(WaitingUploadTest, HoldsNoReadBuffer) {
  constexpr std::size_t kClients = 400;
  const std::string form =
      "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n" + std::string(kBytes, 'f') + "\r\n--b--\r\n";
  const auto body = [&](std::size_t i) {
    return i % 2 == 0 ? fmt::format("{:06}", i) + std::string(kBytes - 6, 'x') : form;
  };
  for (std::size_t i = 0; i < kClients; ++i) {
    Connect(fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{}\r\n", body(i).size(),
                        i % 2 == 0 ? "" : "Content-Type: multipart/form-data; boundary=b\r\n"));
  }
  if (!GetParam()) Go();
  for (std::size_t i = 0; i < kClients; ++i) clients_[i].unsent += body(i);
  const auto allocated = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
  const std::size_t before = allocated();
  Go();
  constexpr std::size_t kInTurn = 64 * net::BufferPool::kBufferBytes;
  EXPECT_LT(allocated(), before + kInTurn + kClients * (16 << 10));
  FreeDisk();
  for (std::size_t i = 0; i < kClients; ++i) {
    Await(clients_[i]);
    const std::string answer = i % 2 == 0 ? Sha256::Of(AsBytes(body(i))).Hex() : "form";
    EXPECT_TRUE(clients_[i].received.ends_with("\r\n\r\n" + answer)) << clients_[i].received;
  }
  EXPECT_EQ(handler_->files, std::vector(kClients / 2, Sha256::Of(AsBytes(std::string(kBytes, 'f')))));
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
