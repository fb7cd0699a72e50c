// What a client is told when something that it waits for throws.
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "clamd/server.h"
#include "service/test_doubles.h"

namespace lazaret::clamd {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

class ThrowingCache final : public VerdictCache {
 public:
  VerdictPtr Peek(const Digest&) override { throw std::runtime_error("broken"); }
  aio::Task<Result<VerdictPtr>> Find(Digest) override {
    throw std::runtime_error("broken");
    co_return nullptr;
  }
  aio::Task<Result<void>> Store(Digest, VerdictPtr) override { co_return Result<void>(); }
};

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    fs::create_directories(root_);
    spool_ = *Spool::Open({.directory = root_,
                           .max_content = 1000,
                           .memory_file_size = 1000,
                           .memory_budget = 1'000'000,
                           .disk_budget = 1'000'000},
                          disk_);
    inspector_.emplace(InspectorSettings{.paths = {.roots = {root_}}}, service_, *spool_, files_, clock_, log_,
                       telemetry_);
    server_ = *Listen({.net = {.listen = {"unix:" + socket().native()}}, .connection = {.read_timeout = seconds(1)}},
                      *inspector_, log_);
    server_->Start();
  }
  ~ConnectionTest() override {
    server_->Stop();
    fs::remove_all(root_);
  }

  fs::path socket() const { return root_ / "socket"; }

  // What comes for `request` until the connection ends.
  std::string Ask(const std::string& request) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().native().copy(address.sun_path, sizeof address.sun_path - 1);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd.Get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::send(fd.Get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    ssize_t n;
    while ((n = ::recv(fd.Get(), buffer, sizeof buffer, 0)) > 0) answer.append(buffer, static_cast<std::size_t>(n));
    EXPECT_EQ(n, 0) << "the connection did not end";
    return answer;
  }

  const fs::path root_ = fs::path(testing::TempDir()) / ("connection" + std::to_string(::getpid()));
  const SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  boost::asio::io_context io_;
  HeldEngine engine_;
  ThrowingCache cache_;
  DoneBoard board_;
  ScanService service_{{}, engine_, cache_, board_, io_.get_executor(), clock_, log_, telemetry_};
  aio::BlockingPool disk_{1};
  FilePool files_{{}};
  std::unique_ptr<Spool> spool_;
  std::optional<Inspector> inspector_;
  std::unique_ptr<net::Server> server_;
};

TEST_F(ConnectionTest, AnswersAnErrorForWhatThrows) {
  EXPECT_EQ(Ask("zINSTREAM\0\0\0\0\1x\0\0\0\0"s), "stream: Not scanned, internal error ERROR\0"s);
  std::ofstream(root_ / "file") << "x";
  const std::string file = (root_ / "file").native();
  for (const std::string verb : {"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"}) {
    EXPECT_EQ(Ask("z" + verb + " " + file + "\0"s), file + ": Not scanned, internal error ERROR\0"s);
  }
}

TEST_F(ConnectionTest, KeepsTheSessionAndItsPatienceWhenSomethingThrows) {
  EXPECT_EQ(Ask("zIDSESSION\0zINSTREAM\0\0\0\0\1x\0\0\0\0zEND\0"s), "1: stream: Not scanned, internal error ERROR\0"s);
  EXPECT_EQ(Ask("zIDSESSION\0zINSTREAM\0\0\0\0\1x\0\0\0\0"s),
            "1: stream: Not scanned, internal error ERROR\0COMMAND READ TIMED OUT\n"s);
}

}  // namespace
}  // namespace lazaret::clamd
