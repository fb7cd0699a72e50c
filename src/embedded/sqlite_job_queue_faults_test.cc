#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <set>
#include <thread>
#include <vector>

#include "embedded/child_samples.h"
#include "embedded/job_queue_samples.h"

namespace lazaret::embedded {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

// A queue of its own with all that it needs; threads begin with Open.
struct World {
  explicit World(const std::string& directory) : path(directory) { Open(); }

  SqliteJobQueue::Settings Settings() const { return {.file = path + "/queue.db", .directory = path + "/contents"}; }
  void Open() {
    queue.reset();
    pool = std::make_unique<aio::BlockingPool>(1);
    queue = MustOpenQueue(Settings(), *pool, clock, log);
  }
  void Close() {
    queue.reset();
    pool.reset();  // and everything that was to be deleted is
  }
  std::size_t CountFiles() const {
    const auto files = fs::directory_iterator(path + "/contents");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }
  Result<Submitted> Submit(const ContentPtr& content) { return Await(queue->Submit(content, std::nullopt)); }
  std::optional<LeasedJob> Take() { return JobDriver(*queue, clock).Take(); }

  std::string path;
  FakeClock clock;
  Log log{LogFormat::kText, LogLevel::kError};
  std::unique_ptr<aio::BlockingPool> pool;
  std::unique_ptr<SqliteJobQueue> queue;
};

// Sizes of contents, some of which lie in files.
std::size_t SizeOf(std::size_t number) { return number % 4 == 0 ? 70'000 + number : 30 + number % 5000; }

constexpr std::uint32_t kFinished = 1u << 31;

std::uint32_t NumberOf(const std::string& bytes) {
  std::uint32_t number = 0;
  const std::string_view digits = std::string_view(bytes).substr(std::string_view("content ").size());
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

// Submits ever new contents and finishes jobs on several executors, and writes the number of each to `acknowledge` once
// that is done; with kFinished for the end of a job.
void WorkForEver(const std::string& directory, std::uint32_t first, int acknowledge) {
  World world(directory);
  std::atomic<std::uint32_t> next = first;
  const auto submit = [&]() -> aio::Task<> {
    while (true) {
      const std::uint32_t number = next++;
      const auto submitted = co_await world.queue->Submit(SampleJob(number, SizeOf(number)), std::nullopt);
      if (!submitted || ::write(acknowledge, &number, sizeof number) != sizeof number) co_return;
    }
  };
  const auto work = [&]() -> aio::Task<> {
    while (true) {
      const auto job = co_await world.queue->Take(JobKind::kAny, SteadyTime::max());
      if (!job || !*job || !(*job)->content) std::abort();
      const std::uint32_t number = NumberOf(ReadAll((*job)->content.value()->Descriptor().value())) | kFinished;
      const auto finished = co_await world.queue->Finish((*job)->lease, SampleClean(world.clock), JobState::kDone);
      if (!finished || ::write(acknowledge, &number, sizeof number) != sizeof number) co_return;
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      asio::io_context io;
      std::vector<std::future<void>> tasks;
      for (int task = 0; task < 20; ++task) tasks.push_back(asio::co_spawn(io, submit(), asio::use_future));
      for (int task = 0; task < 3; ++task) tasks.push_back(asio::co_spawn(io, work(), asio::use_future));
      io.run();
    });
  }
}

TEST(SqliteJobQueueFaults, LosesNothingAcknowledgedWhenKilled) {
  const TestDirectory directory;
  std::uint32_t first = 0;
  for (const std::size_t wanted : {1u, 77u, 500u, 1500u}) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    UniqueFd in(fds[0]);
    UniqueFd out(fds[1]);
    const pid_t pid = Fork([&] {
      in.Reset();
      WorkForEver(directory.path(), first, out.Get());
    });
    ASSERT_GT(pid, 0);
    out.Reset();
    std::set<std::uint32_t> submitted;
    std::set<std::uint32_t> finished;
    std::uint32_t number = 0;
    while (::read(in.Get(), &number, sizeof number) == sizeof number) {
      (number & kFinished ? finished : submitted).insert(number & ~kFinished);
      if (submitted.size() + finished.size() == wanted) EXPECT_EQ(::kill(pid, SIGKILL), 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ASSERT_GE(submitted.size() + finished.size(), wanted);

    World world(directory.path());
    JobDriver jobs(*world.queue, world.clock);
    std::size_t unfinished = 0;
    for (const std::uint32_t one : submitted) {
      const auto job = jobs.Find(SampleJob(one, SizeOf(one))->digest());
      ASSERT_TRUE(job) << one << " of " << submitted.size();
      EXPECT_TRUE(job->state == JobState::kDone || job->state == JobState::kQueued);
      unfinished += job->state == JobState::kQueued;
    }
    for (const std::uint32_t one : finished) {
      EXPECT_EQ(jobs.MustFind(SampleJob(one, SizeOf(one))->digest()).state, JobState::kDone);
    }
    std::size_t large = 0;
    std::size_t taken = 0;
    const std::size_t files = world.CountFiles();
    while (auto job = jobs.Take()) {
      ASSERT_TRUE(job->content) << job->content.error().what;
      const std::string bytes = ReadAll((*job->content)->Descriptor().value());
      const std::uint32_t one = NumberOf(bytes);
      EXPECT_EQ(bytes, SampleBytes(one, SizeOf(one)));
      large += bytes.size() > 65536;
      ++taken;
      jobs.Finish(job->lease);
      first = std::max(first, one + 1);
    }
    EXPECT_GE(taken, unfinished);
    EXPECT_EQ(files, large) << "files that belong to no job, or jobs without their file";
    EXPECT_EQ(world.queue->Counts().queued + world.queue->Counts().leased + world.queue->Counts().bytes, 0u);
    for (const std::uint32_t one : submitted) first = std::max(first, one + 1);
    world.Close();
    EXPECT_EQ(world.CountFiles(), 0u);
  }
}

// Submits contents of `size` bytes until three in a row have failed, calls `relieve`, and goes on. Returns the first
// failure.
template <class Relieve>
Error FillAndRelieve(const std::string& directory, std::size_t size, Relieve relieve) {
  World world(directory);
  std::vector<std::size_t> stored;
  std::optional<Error> failure;
  std::size_t next = 0;
  for (int failures = 0; failures < 3 && next < 10'000; ++next) {
    const auto submitted = world.Submit(SampleJob(next, size));
    if (submitted) {
      stored.push_back(next);
      failures = 0;
    } else {
      if (!failure) failure = submitted.error();
      ++failures;
      const auto job = Await(world.queue->Find(SampleJob(next, size)->digest()));
      EXPECT_TRUE(job && !*job) << "what was refused is there";
    }
  }
  EXPECT_TRUE(failure) << "never full";
  EXPECT_FALSE(stored.empty()) << "full from the beginning";
  EXPECT_EQ(world.queue->Counts().queued, stored.size());
  relieve();
  // Taking and finishing works again, too; the first take may still bring the failure of before.
  for (const bool finish : {true, true, false}) {
    const auto submitted = world.Submit(SampleJob(++next, size));
    EXPECT_TRUE(submitted) << submitted.error().what;
    stored.push_back(next);
    if (!finish) break;
    const auto job = world.Take();
    EXPECT_TRUE(job && job->lease.id == SampleJob(stored.front(), size)->digest());
    if (job) JobDriver(*world.queue, world.clock).Finish(job->lease);
    stored.erase(stored.begin());
  }
  Await(world.pool->Run([] { return 0; }));  // its one thread has deleted what was to be deleted before
  EXPECT_EQ(world.CountFiles(), size > 65536 ? stored.size() : 0);
  world.Open();
  EXPECT_EQ(world.queue->Counts().queued, stored.size());
  for (const std::size_t one : stored) {
    auto job = world.Take();
    EXPECT_TRUE(job && job->content);
    if (job && job->content) ExpectWhole(**job->content, SampleBytes(one, size));
  }
  EXPECT_FALSE(world.Take());
  return failure.value_or(Error{Errc::kInternal, "no error"});
}

void ExceedTheFileSizeLimit(const std::string& directory, std::size_t size) {
  ::signal(SIGXFSZ, SIG_IGN);  // so that writes past the limit fail with EFBIG
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit unlimited = limit;
  limit.rlim_cur = 512 * 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Error error = FillAndRelieve(directory, size, [&] { ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0); });
  EXPECT_EQ(error.code, Errc::kUnavailable);
  EXPECT_THAT(error.what, HasSubstr(directory + "/queue.db"));
  EXPECT_THAT(error.what, HasSubstr("File too large"));
}

// While it lives every write to a file fails.
class NoWrites {
 public:
  NoWrites() {
    ::signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit none = before_;
    none.rlim_cur = 0;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~NoWrites() { EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0); }
  NoWrites(const NoWrites&) = delete;
  NoWrites& operator=(const NoWrites&) = delete;

 private:
  rlimit before_{};
};

TEST(SqliteJobQueueFaults, AJobWhoseLeaseEndedWhileNothingCouldBeWrittenIsTakenAgain) {
  const TestDirectory directory;
  RunInChild([&] {
    World world(directory.path());
    JobDriver jobs(*world.queue, world.clock);
    jobs.Submit(SampleJob(1));
    const Lease lost = jobs.MustTake().lease;
    jobs.Submit(SampleJob(3));  // and the lease is on the disk
    world.clock.Advance(JobPolicy{}.lease);
    {
      const NoWrites no_writes;
      // Taken again in the transaction that ends its lease, which fails.
      (void)Await(world.queue->Take(JobKind::kAny, world.clock.SteadyNow()));
      EXPECT_FALSE(world.Submit(SampleJob(2)));
    }
    world.clock.Advance(seconds(1));
    const auto again = jobs.Take();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->lease.id, lost.id);
    EXPECT_EQ(again->lost, 1u);
    jobs.Finish(again->lease);
  });
}

TEST(SqliteJobQueueFaults, AMessageKeepsItsLeaseWhileNothingCanBeWritten) {
  const TestDirectory directory;
  RunInChild([&] {
    World world(directory.path());
    const auto take = [&] { return Await(world.queue->TakeDue(seconds(60), world.clock.SteadyNow())); };
    const auto add = [&](std::size_t number) {
      JobDriver::Expect(world.queue->Add(SampleDigest(number), SampleClean(world.clock), {"https://a.example/", ""}));
    };
    add(1);
    const auto first = take();
    ASSERT_TRUE(first && *first);
    {
      const NoWrites no_writes;
      EXPECT_FALSE(Await(world.queue->Close((*first)->number)));
      EXPECT_FALSE(Await(world.queue->Postpone((*first)->number, milliseconds(0))));
      world.clock.Advance(seconds(1));
      const auto again = take();
      EXPECT_TRUE(again && !*again) << "it would be posted again and again";
    }
    world.clock.Advance(seconds(1));
    add(2);
    {
      const NoWrites no_writes;
      for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(take()) << "nothing says that it was taken";
        world.clock.Advance(seconds(1));
      }
    }
    const auto second = take();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->id, SampleDigest(2));
    world.clock.Advance(seconds(60));
    const auto again = take();
    ASSERT_TRUE(again && *again);
    EXPECT_EQ((*again)->number, (*first)->number);
    EXPECT_EQ((*again)->attempts, 0u);
    JobDriver::Expect(world.queue->Close((*again)->number));
  });
}

TEST(SqliteJobQueueFaults, WorksAgainWhenWritesDo) {
  for (const std::size_t size : {10'000u, 100'000u}) {
    const TestDirectory directory;
    RunInChild([&] { ExceedTheFileSizeLimit(directory.path(), size); });
  }
}

TEST(SqliteJobQueueFaults, WorksAgainWhenTheDiskIsNotFullAnyMore) {
  for (const std::size_t size : {10'000u, 100'000u}) {
    const TestDirectory directory;
    RunInChild([&] {
      if (!MountTmpfs(directory.path(), "size=2m")) {
        return ExceedTheFileSizeLimit(directory.path(), size);  // as near as a process without privileges gets
      }
      const Error error =
          FillAndRelieve(directory.path(), size, [&] { ASSERT_TRUE(ResizeTmpfs(directory.path(), "size=64m")); });
      EXPECT_EQ(error.code, Errc::kOverloaded) << error.what;
      EXPECT_THAT(error.what, HasSubstr(directory.path()));
    });
  }
}

TEST(SqliteJobQueueFaults, AFullDiskIsWorkedOff) {
  const TestDirectory directory;
  RunInChild([&] {
    if (!MountTmpfs(directory.path(), "size=20m")) {
      std::cout << "not tested: no mounts allowed" << std::endl;
      return;
    }
    World world(directory.path());
    std::vector<std::size_t> stored;
    for (std::size_t next = 0, failures = 0; failures < 3; ++next) {
      if (world.Submit(SampleJob(next, 100'000))) {
        stored.push_back(next);
      } else {
        ++failures;
      }
    }
    // To the last page. Nobody makes room but the queue itself.
    const UniqueFd rest(::open((directory.path() + "/rest").c_str(), O_WRONLY | O_CREAT, 0600));
    const std::string page(4096, 'x');
    while (::write(rest.Get(), page.data(), page.size()) > 0) {
    }
    for (const std::size_t one : stored) {
      std::optional<LeasedJob> job;
      for (int tries = 0; tries < 5 && !job; ++tries) {
        auto taken = Await(world.queue->Take(JobKind::kAny, world.clock.SteadyNow()));
        if (taken) job = *std::move(taken);
      }
      ASSERT_TRUE(job) << "no job can be taken while the disk is full";
      EXPECT_EQ(job->lease.id, SampleJob(one, 100'000)->digest());
      Result<void> finished;
      for (int tries = 0; tries < 5; ++tries) {
        finished = Await(world.queue->Finish(job->lease, SampleClean(world.clock), JobState::kDone));
        if (finished) break;
      }
      EXPECT_TRUE(finished) << finished.error().what;
    }
    EXPECT_TRUE(world.Submit(SampleJob(1'000'000, 100'000)));
  });
}

// As a user that may not write `directory`.
Error OpenWithout(const std::string& directory, const std::string& locked) {
  EXPECT_EQ(::chmod(locked.c_str(), 0555), 0);
  if (::geteuid() == 0) EXPECT_EQ(::setuid(65534), 0);
  FakeClock clock;
  Log log(LogFormat::kText, LogLevel::kError);
  aio::BlockingPool pool(1);
  const auto queue =
      SqliteJobQueue::Open({.file = directory + "/queue.db", .directory = directory + "/contents"}, pool, clock, log);
  return queue ? Error{Errc::kInternal, "no error"} : queue.error();
}

TEST(SqliteJobQueueFaults, NamesTheCureWhenADirectoryCannotBeWritten) {
  const TestDirectory directory;
  RunInChild([&] {
    const Error error = OpenWithout(directory.path(), directory.path());
    EXPECT_EQ(error.code, Errc::kUnavailable);
    EXPECT_EQ(error.what, "the job queue " + directory.path() + "/queue.db cannot be kept: directory " +
                              directory.path() +
                              ": Permission denied; make it writable for the user that runs lazaret or configure "
                              "another directory");
  });
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  const std::string contents = directory.path() + "/contents";
  ASSERT_EQ(::mkdir(contents.c_str(), 0755), 0);
  RunInChild([&] {
    const Error error = OpenWithout(directory.path(), contents);
    EXPECT_EQ(error.code, Errc::kUnavailable);
    EXPECT_THAT(error.what, StartsWith("cannot create files in the directory " + contents));
    EXPECT_THAT(error.what, HasSubstr("it must be writable for the user that runs lazaret"));
    EXPECT_THAT(error.what, HasSubstr("Permission denied"));
  });
  ASSERT_EQ(::chmod(contents.c_str(), 0755), 0);
}

TEST(SqliteJobQueueFaults, TakesNoMoreJobsWhenTheFileIsDamaged) {
  const TestDirectory directory;
  World world(directory.path());
  std::size_t next = 0;
  const auto fill = [&](std::size_t count) {
    asio::io_context io;
    std::vector<std::future<Result<Submitted>>> submits;
    for (std::size_t i = 0; i < count; ++i) {
      submits.push_back(
          asio::co_spawn(io, world.queue->Submit(SampleJob(next++, 60'000), std::nullopt), asio::use_future));
    }
    io.run();
    for (auto& submit : submits) ASSERT_TRUE(submit.get());
  };
  for (int i = 0; i < 8; ++i) fill(100);
  world.Open();  // with the log in the file, and the check of it before the damage
  {
    const std::string file = directory.path() + "/queue.db";
    const UniqueFd fd(::open(file.c_str(), O_WRONLY));
    const std::string junk(1 << 20, '\x5A');
    const auto size = static_cast<off_t>(fs::file_size(file));
    for (off_t at = 16 * 4096; at < size; at += 1 << 20) {
      ASSERT_GT(
          ::pwrite(fd.Get(), junk.data(), std::min<std::size_t>(junk.size(), static_cast<std::size_t>(size - at)), at),
          0);
    }
  }
  // What is in SQLite's memory still is good still.
  std::optional<Error> failure;
  for (int i = 0; i < 1000 && !failure; ++i) {
    const auto submitted = world.Submit(SampleJob(next++, 1000));
    if (!submitted) failure = submitted.error();
    const auto job = Await(world.queue->Find(SampleJob(static_cast<std::size_t>(i), 60'000)->digest()));
    if (job && *job) EXPECT_EQ((*job)->verdict, nullptr);
    if (!job && !failure) failure = job.error();
  }
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, Errc::kCorrupt) << failure->what;
  for (int i = 0; i < 20; ++i) {
    const auto submitted = world.Submit(SampleJob(next++, i % 2 == 0 ? 100 : 100'000));
    ASSERT_FALSE(submitted) << "a promise that cannot be kept";
    EXPECT_EQ(submitted.error().code, Errc::kCorrupt);
    EXPECT_THAT(submitted.error().what,
                StartsWith("the job queue " + directory.path() + "/queue.db was found to be damaged while in use ("));
  }
  EXPECT_EQ(world.queue->CheckRoom(1).error().code, Errc::kCorrupt);
  EXPECT_EQ(JobDriver::ErrorOf(world.queue->Add(SampleDigest(1), SampleClean(world.clock), {"https://a.example/", ""})),
            Errc::kCorrupt);
  world.Close();
  EXPECT_EQ(world.CountFiles(), 0u);
  aio::BlockingPool pool(1);
  const auto again = SqliteJobQueue::Open(world.Settings(), pool, world.clock, world.log);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kCorrupt);
}

TEST(SqliteJobQueueFaults, AQueueThatWasHugeGivesItsSpaceBack) {
  const TestDirectory directory;
  const std::string file = directory.path() + "/queue.db";
  SystemClock clock;
  Log log(LogFormat::kText, LogLevel::kError);
  aio::BlockingPool pool(1);
  auto queue = MustOpenQueue({.file = file, .directory = directory.path() + "/contents"}, pool, clock, log);
  JobDriver jobs(*queue, clock);
  for (std::size_t i = 0; i < 24; ++i) {
    asio::io_context io;
    std::vector<std::future<Result<Submitted>>> submits;
    for (std::size_t k = 0; k < 100; ++k) {
      submits.push_back(
          asio::co_spawn(io, queue->Submit(SampleJob(100 * i + k, 60'000), std::nullopt), asio::use_future));
    }
    io.run();
    for (auto& submit : submits) ASSERT_TRUE(submit.get());
    EXPECT_LT(fs::file_size(file + "-wal"), 48u << 20);
  }
  const auto huge = fs::file_size(file);
  EXPECT_GT(huge, 100u << 20);
  asio::io_context io;
  const auto work = [&]() -> aio::Task<> {
    for (int i = 0; i < 48; ++i) {
      const auto job = co_await queue->Take(JobKind::kAny, SteadyTime::max());
      const auto finished = co_await queue->Finish(job.value()->lease, SampleClean(clock), JobState::kDone);
      EXPECT_TRUE(finished);
    }
  };
  std::vector<std::future<void>> workers;
  for (int i = 0; i < 50; ++i) workers.push_back(asio::co_spawn(io, work(), asio::use_future));
  io.run();
  for (auto& worker : workers) worker.get();
  EXPECT_EQ(queue->Counts().queued, 0u);
  auto other = MustConnect(file);
  // The test's time limit is the only one: the writer begins after a second.
  while (other.QueryInteger("PRAGMA page_count").value() * 4096 > static_cast<std::int64_t>(80u << 20)) {
    std::this_thread::sleep_for(milliseconds(50));
  }
}

}  // namespace
}  // namespace lazaret::embedded
