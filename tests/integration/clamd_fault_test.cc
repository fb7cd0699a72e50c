// Whose fault it is when a scan by a clamd server fails: the server's, nobody's because it is busy, or our own.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "integration/clamd_process.h"
#include "integration/pool_runner.h"
#include "integration/scripted_clamd.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kMost = 1 << 20;

clamav::ClamdPoolSettings PoolOf(std::vector<clamav::ClamdAddress> addresses) {
  return {.addresses = std::move(addresses),
          .server = {.connections = 4,
                     .max_file_size = kMost,
                     .connect_timeout = seconds(5),
                     .answer_timeout = seconds(10),
                     .check_interval = seconds(60),
                     .require_alerts = false},
          .attempts = 3};
}

std::string Scripted(int number, std::size_t size = 100) {
  std::string content = std::string(kScripted) + std::to_string(number);
  content.resize(size, 'x');
  return content;
}

// Connections that nobody accepts, as many as fit: the next one has to wait. Linux refuses it on a Unix socket
// (EAGAIN) and leaves it without an answer over TCP.
std::vector<UniqueFd> FillBacklog(const clamav::ClamdAddress& address) {
  constexpr std::size_t kMostWaiting = 64;
  sockaddr_storage to{};
  if (address.is_unix()) {
    auto& path = reinterpret_cast<sockaddr_un&>(to);
    path.sun_family = AF_UNIX;
    address.path.copy(path.sun_path, sizeof path.sun_path - 1);
  } else {
    auto& port = reinterpret_cast<sockaddr_in&>(to);
    port.sin_family = AF_INET;
    port.sin_port = htons(address.port);
    port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  const socklen_t size = address.is_unix() ? sizeof(sockaddr_un) : sizeof(sockaddr_in);
  std::vector<UniqueFd> waiting;
  while (waiting.size() < kMostWaiting) {
    UniqueFd socket(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(socket.Get(), reinterpret_cast<const sockaddr*>(&to), size) != 0 && errno == EAGAIN) return waiting;
    waiting.push_back(std::move(socket));
  }
  EXPECT_FALSE(address.is_unix()) << "it is not full";
  return waiting;
}

// UBSan looks at virtual tables through pipes, and takes a pipe that it cannot make for a broken object.
#if defined(__has_feature) && __has_feature(undefined_behavior_sanitizer)
constexpr bool kCanDoWithoutDescriptors = false;
#else
constexpr bool kCanDoWithoutDescriptors = true;
#endif

// How many descriptors this process may have, until it goes.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now{most, before_.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &now) != 0) throw std::runtime_error("setrlimit");
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

  // As many as there are, and `more`.
  static rlim_t Used(rlim_t more) {
    const UniqueFd next(::fcntl(0, F_DUPFD_CLOEXEC, 0));
    return static_cast<rlim_t>(next.Get()) + more;
  }

 private:
  rlimit before_{};
};

class ClamdFault : public testing::TestWithParam<bool> {
 protected:
  ClamdOptions Options() const { return {.settings = {"MaxConnectionQueueLength 4"}, .tcp = GetParam()}; }
  TestDirectory root_;
  TestDirectory other_;
};
INSTANTIATE_TEST_SUITE_P(Over, ClamdFault, testing::Bool(),
                         [](const auto& over) { return over.param ? "Tcp" : "Unix"; });

TEST_P(ClamdFault, ABusyServerIsWaitedFor) {
  ClamdProcess clamd(root_, "clamd", Options());
  auto settings = PoolOf({clamd.address()});
  settings.server.connect_timeout = kPatience;
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.BecomesReady());
  ASSERT_TRUE(Halt(clamd.pid()));
  auto waiting = FillBacklog(clamd.address());
  auto scan = runner.StartScan(Eicar());
  ASSERT_TRUE(Eventually([&] { return runner.pool().Servers().at(0).in_flight == 1; }));
  runner.Turn();
  waiting.clear();
  clamd.Signal(SIGCONT);
  const auto verdict = scan.get();
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_THAT(verdict->signatures(), ElementsAre("Test.Eicar.UNOFFICIAL")) << verdict->detail();
}

TEST_P(ClamdFault, ABusyServerIsNotGivenUp) {
  ClamdProcess clamd(root_, "clamd", Options());
  auto settings = PoolOf({clamd.address()});
  settings.server.connect_timeout = milliseconds(50);
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.BecomesReady());
  ASSERT_TRUE(Halt(clamd.pid()));
  auto waiting = FillBacklog(clamd.address());
  for (int i = 0; i < 4; ++i) {
    const auto refused = runner.Scan(PlainText(100 + i), milliseconds(300));
    ASSERT_FALSE(refused) << refused->detail();
    EXPECT_EQ(refused.error().code, Errc::kUnavailable);
    EXPECT_NE(runner.pool().Current(), nullptr) << "it is there: " << refused.error().what;
  }
  waiting.clear();
  clamd.Signal(SIGCONT);
  const auto verdict = runner.Scan(Eicar());
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_THAT(verdict->signatures(), ElementsAre("Test.Eicar.UNOFFICIAL")) << verdict->detail();
}

TEST_P(ClamdFault, ScansOfABusyServerGoToAnotherOne) {
  ClamdProcess busy(root_, "busy", Options());
  ClamdProcess idle(root_, "idle", Options());
  auto settings = PoolOf({busy.address(), idle.address()});
  settings.server.connect_timeout = milliseconds(50);
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.ServersUp(2));
  ASSERT_TRUE(Halt(busy.pid()));
  const auto waiting = FillBacklog(busy.address());
  for (unsigned i = 0; i < 20; ++i) {
    const auto verdict = runner.Scan(EicarWithPrefix(i));
    ASSERT_TRUE(verdict) << verdict.error().what;
    EXPECT_THAT(verdict->signatures(), ElementsAre("Test.Eicar.UNOFFICIAL")) << verdict->detail();
  }
  EXPECT_TRUE(runner.pool().Servers().at(0).up);
}

TEST_P(ClamdFault, AServerThatStaysBusyIsGivenUpAndComesBack) {
  ClamdProcess clamd(root_, "clamd", Options());
  auto settings = PoolOf({clamd.address()});
  settings.server.connect_timeout = milliseconds(50);
  settings.server.answer_timeout = milliseconds(200);
  settings.server.check_interval = milliseconds(100);
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.BecomesReady());
  ASSERT_TRUE(Halt(clamd.pid()));
  auto waiting = FillBacklog(clamd.address());
  EXPECT_TRUE(runner.ServersUp(0));
  waiting.clear();
  clamd.Signal(SIGCONT);
  EXPECT_TRUE(runner.ServersUp(1));
}

TEST_P(ClamdFault, AContentThatHasLostItsEndIsNoServersFault) {
  ScriptedClamd first(root_, GetParam(), {.reply = "{}: OK\0"s});
  ScriptedClamd second(other_, GetParam(), {.reply = "{}: OK\0"s});
  PoolRunner runner(PoolOf({first.address(), second.address()}));
  ASSERT_TRUE(runner.ServersUp(2));
  for (int i = 0; i < 4; ++i) {
    const auto refused = runner.StartScan(std::make_shared<MemoryContent>(Scripted(i), 1)).get();
    ASSERT_FALSE(refused) << ToString(refused->kind()) << ": " << refused->detail();
    EXPECT_EQ(refused.error().code, Errc::kInternal);
  }
  EXPECT_EQ(first.scripted_scans() + second.scripted_scans(), 0);
  EXPECT_TRUE(runner.pool().Servers().at(0).up);
  EXPECT_TRUE(runner.pool().Servers().at(1).up);
}

TEST_P(ClamdFault, HavingNoDescriptorLeftIsNoServersFault) {
  if (!kCanDoWithoutDescriptors) GTEST_SKIP() << "not with UBSan";
  ClamdProcess first(root_, "first", Options());
  ClamdProcess second(root_, "second", Options());
  PoolRunner runner(PoolOf({first.address(), second.address()}));
  ASSERT_TRUE(runner.ServersUp(2));
  for (const rlim_t left : {0, 1}) {
    for (unsigned i = 0; i < 4; ++i) {
      const auto content = std::make_shared<MemoryContent>(EicarWithPrefix(i));
      // The connection of the last scan is closed by now.
      runner.Turn();
      const DescriptorLimit limit(DescriptorLimit::Used(left));
      const auto refused = runner.StartScan(content).get();
      ASSERT_FALSE(refused) << ToString(refused->kind()) << ": " << refused->detail();
      EXPECT_EQ(refused.error().code, Errc::kOverloaded) << refused.error().what;
      EXPECT_THAT(refused.error().what, HasSubstr("Too many open files"));
      EXPECT_TRUE(runner.pool().Servers().at(0).up);
      EXPECT_TRUE(runner.pool().Servers().at(1).up);
    }
  }
  const auto verdict = runner.Scan(Eicar());
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_THAT(verdict->signatures(), ElementsAre("Test.Eicar.UNOFFICIAL")) << verdict->detail();
}

TEST_P(ClamdFault, ACheckThatWeCannotMakeSaysNothing) {
  if (!kCanDoWithoutDescriptors) GTEST_SKIP() << "not with UBSan";
  ClamdProcess clamd(root_, "clamd", Options());
  auto settings = PoolOf({clamd.address()});
  settings.server.check_interval = milliseconds(10);
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.BecomesReady());
  {
    const DescriptorLimit limit(3);
    const auto end = std::chrono::steady_clock::now() + seconds(1);
    while (std::chrono::steady_clock::now() < end) {
      ASSERT_NE(runner.pool().Current(), nullptr) << runner.pool().NotReadyReason();
      runner.Turn();
    }
  }
  clamd.Kill();
  EXPECT_TRUE(runner.ServersUp(0)) << "checks go on";
  clamd.Start();
  EXPECT_TRUE(runner.ServersUp(1));
}

TEST_P(ClamdFault, AServerThatErrsAttractsNoScans) {
  ScriptedClamd bad(root_, GetParam(), {.reply = "{}: Can't allocate memory ERROR\0"s});
  ScriptedClamd good(other_, GetParam(), {.reply = "{}: Test.Good FOUND\0"s});
  PoolRunner runner(PoolOf({bad.address(), good.address()}));
  ASSERT_TRUE(runner.ServersUp(2));
  for (int i = 0; i < 20; ++i) {
    const auto verdict = runner.Scan(Scripted(i));
    ASSERT_TRUE(verdict) << verdict.error().what;
    EXPECT_THAT(verdict->signatures(), ElementsAre("Test.Good")) << verdict->detail();
  }
  EXPECT_GT(bad.scripted_scans(), 0);
  EXPECT_LT(bad.scripted_scans(), 10);
  EXPECT_TRUE(runner.pool().Servers().at(0).up);
}

TEST_P(ClamdFault, AServerThatErrsIsUsedWhenThereIsNoOther) {
  ScriptedClamd clamd(root_, GetParam(), {.reply = "{}: Can't allocate memory ERROR\0"s});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  for (int i = 0; i < 4; ++i) {
    const auto verdict = runner.Scan(Scripted(i));
    ASSERT_TRUE(verdict) << verdict.error().what;
    EXPECT_EQ(verdict->reason(), Reason::kEngineError);
  }
  EXPECT_EQ(clamd.scripted_scans(), 12);
}

TEST_P(ClamdFault, AServerThatErredComesBack) {
  const std::string error = "{}: Can't allocate memory ERROR\0"s;
  ScriptedClamd bad(root_, GetParam(), {.reply = "{}: Test.Healed FOUND\0"s, .first = {error, error, error}});
  ScriptedClamd good(other_, GetParam(), {.reply = "{}: Test.Good FOUND\0"s});
  PoolRunner runner(PoolOf({bad.address(), good.address()}));
  ASSERT_TRUE(runner.ServersUp(2));
  EXPECT_TRUE(Eventually([&] {
    const auto verdict = runner.Scan(Scripted(1));
    return verdict && verdict->signatures() == std::vector<std::string>{"Test.Healed"};
  }));
}

TEST_P(ClamdFault, AServerThatFailedGetsNothingBeforeItIsExamined) {
  // Started again after the first scan, with a lower limit.
  ScriptedClamd clamd(root_, GetParam(),
                      {.reply = "{}: OK\0"s, .first = {"garbage\0"s}, .looks_into_after = 128 << 10});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  const auto verdict = runner.Scan(Scripted(1, 512 << 10));
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(verdict->reason(), Reason::kLimitExceeded) << ToString(verdict->kind()) << verdict->detail();
  EXPECT_EQ(clamd.scripted_scans(), 1);
  const auto small = runner.Scan(Scripted(2, 128 << 10));
  ASSERT_TRUE(small) << small.error().what;
  EXPECT_EQ(small->kind(), VerdictKind::kClean) << small->detail();
}

TEST_P(ClamdFault, AServerThatWasStartedAgainWithAnotherEngineIsExaminedFirst) {
  ScriptedClamd clamd(root_, GetParam(),
                      {.reply = "{}: OK\0"s,
                       .version_after = "ClamAV 1.4.7/28130/Tue Nov 24 07:00:00 2026",
                       .looks_into_after = 128 << 10});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  const auto verdict = runner.Scan(Scripted(1, 512 << 10));
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(verdict->reason(), Reason::kLimitExceeded) << ToString(verdict->kind()) << verdict->detail();
  EXPECT_EQ(clamd.scripted_scans(), 1);
}

}  // namespace
}  // namespace lazaret::tests
