#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "core/verdict_samples.h"
#include "embedded/child_samples.h"
#include "embedded/sqlite_samples.h"

namespace lazaret::embedded {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;

VerdictPtr WithDetail(const Clock& clock, std::size_t bytes) {
  return std::make_shared<const Verdict>(
      Verdict::Unscannable(SampleRecord(clock), Reason::kEncrypted, std::string(bytes, 'x')));
}

// Stores ever new verdicts on several executors and writes the number of each to `acknowledge` once it is stored.
void StoreForEver(const std::string& file, const Clock& clock, int acknowledge) {
  Log log(LogFormat::kText, LogLevel::kError);
  auto cache = MustOpen({.path = file, .max_entries = 1'000'000}, clock, log);
  std::atomic<std::uint32_t> next = 0;
  const auto store = [&]() -> aio::Task<> {
    while (true) {
      const std::uint32_t number = next++;
      const auto stored = co_await cache->Store(SampleDigest(number), WithDetail(clock, number % 1000));
      if (!stored || ::write(acknowledge, &number, sizeof number) != sizeof number) co_return;
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      asio::io_context io;
      std::vector<std::future<void>> tasks;
      for (int task = 0; task < 20; ++task) tasks.push_back(asio::co_spawn(io, store(), asio::use_future));
      io.run();
    });
  }
}

TEST(SqliteVerdictCacheFaults, LosesNothingAcknowledgedWhenKilled) {
  FakeClock clock;
  Log log(LogFormat::kText, LogLevel::kError);
  const TestDirectory directory;
  for (const std::size_t wanted : {1u, 777u, 5000u}) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    UniqueFd in(fds[0]);
    UniqueFd out(fds[1]);
    const pid_t pid = Fork([&] {
      in.Reset();
      StoreForEver(directory.File(), clock, out.Get());
    });
    ASSERT_GT(pid, 0);
    out.Reset();
    std::vector<std::uint32_t> acknowledged;
    std::uint32_t number = 0;
    while (::read(in.Get(), &number, sizeof number) == sizeof number) {
      acknowledged.push_back(number);
      if (acknowledged.size() == wanted) EXPECT_EQ(::kill(pid, SIGKILL), 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ASSERT_GE(acknowledged.size(), wanted);

    auto cache = MustOpen({.path = directory.File(), .max_entries = 1'000'000}, clock, log);
    for (const std::uint32_t stored : acknowledged) {
      const auto found = Await(cache->Find(SampleDigest(stored)));
      ASSERT_TRUE(found) << found.error().what;
      ASSERT_NE(*found, nullptr) << stored << " of " << acknowledged.size();
      ExpectSame(**found, *WithDetail(clock, stored % 1000));
    }
    for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
      EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr("corrupt")));
    }
  }
}

// Stores in `directory` until that fails, calls `relieve`, and goes on. Returns the failure.
template <class Relieve>
Error FillAndRelieve(const std::string& directory, Relieve relieve) {
  const std::string file = directory + "/verdicts.db";
  FakeClock clock;
  Log log(LogFormat::kText, LogLevel::kError);
  auto cache = MustOpen({.path = file}, clock, log);
  std::size_t stored = 0;
  EngineInfo engine = SampleEngine();
  const auto store = [&] {
    auto result = Await(cache->Store(SampleDigest(stored),
                                     std::make_shared<const Verdict>(Verdict::Unscannable(
                                         SampleRecord(clock, engine), Reason::kEncrypted, std::string(10'000, 'x')))));
    stored += result ? 1 : 0;
    return result;
  };
  auto last = store();
  EXPECT_TRUE(last) << "full from the beginning";
  while (last && stored < 10'000) last = store();
  EXPECT_FALSE(last) << "never full";
  engine.version = "met for the first time when the disk is full";
  EXPECT_FALSE(store()) << "not full any more";
  const auto missing = Await(cache->Find(SampleDigest(stored)));
  EXPECT_TRUE(missing && *missing == nullptr) << "a refused verdict is there";
  EXPECT_EQ(cache->stats().entries, stored);

  relieve();
  EXPECT_TRUE(store()) << "does not recover";
  cache.reset();
  cache = MustOpen({.path = file}, clock, log);
  EXPECT_EQ(cache->stats().entries, stored);
  for (std::size_t i = 0; i < stored; ++i) {
    const auto found = Await(cache->Find(SampleDigest(i)));
    EXPECT_TRUE(found && *found != nullptr) << i;
  }
  return last ? Error{Errc::kInternal, "no error"} : last.error();
}

void ExceedTheFileSizeLimit(const std::string& directory) {
  ::signal(SIGXFSZ, SIG_IGN);  // so that writes past the limit fail with EFBIG
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit unlimited = limit;
  limit.rlim_cur = 512 * 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Error error = FillAndRelieve(directory, [&] { ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0); });
  EXPECT_EQ(error.code, Errc::kUnavailable);
  EXPECT_THAT(error.what, HasSubstr(directory + "/verdicts.db"));
  EXPECT_THAT(error.what, HasSubstr("File too large"));
}

TEST(SqliteVerdictCacheFaults, WorksAgainWhenWritesDo) {
  const TestDirectory directory;
  RunInChild([&] { ExceedTheFileSizeLimit(directory.path()); });
}

TEST(SqliteVerdictCacheFaults, WorksAgainWhenTheDiskIsNotFullAnyMore) {
  const TestDirectory directory;
  RunInChild([&] {
    if (!MountTmpfs(directory.path(), "size=1m")) {
      return ExceedTheFileSizeLimit(directory.path());  // as near as a process without privileges gets
    }
    const Error error =
        FillAndRelieve(directory.path(), [&] { ASSERT_TRUE(ResizeTmpfs(directory.path(), "size=64m")); });
    EXPECT_EQ(error.code, Errc::kOverloaded) << error.what;
    EXPECT_EQ(error.what, directory.File() + ": database or disk is full");
  });
}

TEST(SqliteVerdictCacheFaults, NamesTheCureWhenTheDirectoryCannotBeWritten) {
  const TestDirectory directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0555), 0);
  RunInChild([&] {
    // The superuser may write anywhere.
    if (::geteuid() == 0) ASSERT_EQ(::setuid(65534), 0);
    FakeClock clock;
    Log log(LogFormat::kText, LogLevel::kError);
    const auto cache = SqliteVerdictCache::Open({.path = directory.File()}, clock, log);
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code, Errc::kUnavailable);
    EXPECT_THAT(cache.error().what, HasSubstr(directory.path() + ": Permission denied; make it writable for the user"));
  });
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
}

TEST(SqliteVerdictCacheFaults, NamesTheCauseWhenTheFileCannotBeRead) {
  const TestDirectory directory;
  FakeClock clock;
  Log log(LogFormat::kText, LogLevel::kError);
  ASSERT_TRUE(Await(MustOpen({.path = directory.File()}, clock, log)->Store(SampleDigest(1), SampleClean(clock))));
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  ASSERT_EQ(::chmod(directory.File().c_str(), 0), 0);
  RunInChild([&] {
    if (::geteuid() == 0) ASSERT_EQ(::setuid(65534), 0);
    const auto cache = SqliteVerdictCache::Open({.path = directory.File()}, clock, log);
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code, Errc::kUnavailable);
    EXPECT_THAT(cache.error().what, HasSubstr(directory.File()));
    EXPECT_THAT(cache.error().what, HasSubstr("Permission denied"));
  });
  EXPECT_TRUE(std::filesystem::exists(directory.File())) << "a file that cannot be read was moved aside";
}

}  // namespace
}  // namespace lazaret::embedded
