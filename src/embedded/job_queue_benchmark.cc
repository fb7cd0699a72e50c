#include <benchmark/benchmark.h>

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "aio/run_tasks.h"
#include "embedded/queue_database.h"
#include "embedded/sqlite_job_queue.h"

// Files go to $LAZARET_BENCHMARK_DIR, or /tmp: what is measured is mostly that disk's.
namespace lazaret::embedded {
namespace {

constexpr std::size_t kContentBytes = 4096;
constexpr std::size_t kManyRows = 1'000'000;

void Must(const Result<void>& done) {
  if (!done) throw std::runtime_error(done.error().what);
}

class MemoryContent final : public Content {
 public:
  explicit MemoryContent(std::uint64_t number, std::size_t size = kContentBytes)
      : bytes_(std::to_string(number) + std::string(size, 'x')), digest_(Sha256::Of(AsBytes(bytes_))) {}
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return bytes_.size(); }
  Bytes InMemory() const override { return AsBytes(bytes_); }
  Result<int> Descriptor() override { return Fail(Errc::kInternal, "not needed"); }

 private:
  const std::string bytes_;
  const Digest digest_;
};

struct Directory {
  Directory() {
    const char* base = ::getenv("LAZARET_BENCHMARK_DIR");
    path = std::string(base == nullptr ? "/tmp" : base) + "/lazaret-benchmark-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
  }
  ~Directory() { std::filesystem::remove_all(path); }
  std::string path;
};

// Rows as Submit makes them, of large jobs without contents: they are there, and older, but not what is taken.
void InsertRows(SqliteConnection& connection, std::size_t count) {
  Must(connection.Execute(("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                           std::to_string(count) +
                           ") INSERT INTO jobs(id, state, lane, size, submitted_at, attempts, lost, note, content) "
                           "SELECT randomblob(32), 1, 2, 4096, 1767225600000 + i, 0, 0, '', 0 FROM n")
                              .c_str()));
}

struct Queue {
  explicit Queue(std::size_t rows = 0) {
    if (rows > 0) {
      auto connection = OpenQueueDatabase(directory.path + "/queue.db");
      if (!connection) throw std::runtime_error(connection.error().what);
      InsertRows(*connection, rows);
    }
    auto opened = SqliteJobQueue::Open({.file = directory.path + "/queue.db",
                                        .directory = directory.path + "/contents",
                                        .policy = {.max_jobs = 10'000'000}},
                                       pool, clock, log);
    if (!opened) throw std::runtime_error(opened.error().what);
    queue = *std::move(opened);
  }
  aio::Task<> Submit(std::uint64_t number) {
    const auto submitted = co_await queue->Submit(std::make_shared<MemoryContent>(number), std::nullopt);
    if (!submitted) throw std::runtime_error(submitted.error().what);
  }
  aio::Task<> TakeAndFinish() {
    const auto job = co_await queue->Take(JobKind::kSmall, SteadyTime::max());
    if (!job || !*job) throw std::runtime_error("no job");
    const auto finished = co_await queue->Finish((*job)->lease, verdict, JobState::kDone);
    Must(finished);
  }

  Directory directory;
  SystemClock clock;
  Log log{LogFormat::kText, LogLevel::kWarning};
  aio::BlockingPool pool{2};
  std::unique_ptr<SqliteJobQueue> queue;
  VerdictPtr verdict = std::make_shared<const Verdict>(Verdict::Clean(
      ScanRecord{.engine = std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of(AsBytes("set")),
                                                                         .profile = Sha256::Of(AsBytes("profile")),
                                                                         .name = "ClamAV",
                                                                         .version = "1.4.6",
                                                                         .signature_label = "daily 28129, main 63",
                                                                         .built_at = std::nullopt}),
                 .size = kContentBytes,
                 .scanned_at = clock.Now(),
                 .scan_ms = 3.0}));
};

// What the disk and SQLite allow: the same rows by bare statements, `range(0)` in each transaction.
void BareCommits(benchmark::State& state) {
  const Directory directory;
  auto connection = OpenQueueDatabase(directory.path + "/queue.db");
  if (!connection) throw std::runtime_error(connection.error().what);
  auto job = connection->Prepare(
      "INSERT INTO jobs(id, state, lane, size, submitted_at, attempts, lost, note, content) "
      "VALUES(?, 1, 1, 4096, 1767225600000, 0, 0, '', 1)");
  auto content = connection->Prepare("INSERT INTO contents(seq, bytes) VALUES(?, ?)");
  if (!job || !content) throw std::runtime_error("prepare");
  const std::string bytes(kContentBytes, 'x');
  std::uint64_t number = 0;
  for (auto _ : state) {
    Must(connection->Execute("BEGIN IMMEDIATE"));
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      const Digest id = Sha256::Of(AsBytes(std::to_string(number++)));
      Must(SqliteRun(*job).Bind(id.AsSpan()).Finish());
      Must(SqliteRun(*content).Bind(connection->LastInsertedRow()).Bind(AsBytes(bytes)).Finish());
    }
    Must(connection->Execute("COMMIT"));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BareCommits)->Arg(1)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(2);

void SubmitMany(benchmark::State& state, std::size_t rows) {
  Queue queue(rows);
  const auto concurrent = static_cast<std::size_t>(state.range(0));
  const std::size_t batch = 20 * concurrent;
  std::uint64_t number = 0;
  const auto before = queue.queue->stats();
  for (auto _ : state) {
    aio::RunTasks(batch, concurrent, [&](std::size_t) { return queue.Submit(number++); });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
  const auto after = queue.queue->stats();
  state.counters["per_commit"] =
      static_cast<double>(after.writes - before.writes) / static_cast<double>(after.write_groups - before.write_groups);
}

void Submit(benchmark::State& state) { SubmitMany(state, 0); }
BENCHMARK(Submit)->Arg(1)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(2);

void SubmitWithManyRows(benchmark::State& state) { SubmitMany(state, kManyRows); }
BENCHMARK(SubmitWithManyRows)->Arg(1)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(2);

// With `range(0)` workers.
void TakeAndFinishMany(benchmark::State& state, std::size_t rows) {
  Queue queue(rows);
  const auto concurrent = static_cast<std::size_t>(state.range(0));
  const std::size_t batch = 20 * concurrent;
  std::uint64_t number = 0;
  for (auto _ : state) {
    state.PauseTiming();
    aio::RunTasks(batch, 500, [&](std::size_t) { return queue.Submit(number++); });
    state.ResumeTiming();
    aio::RunTasks(batch, concurrent, [&](std::size_t) { return queue.TakeAndFinish(); });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}

void TakeAndFinish(benchmark::State& state) { TakeAndFinishMany(state, 0); }
BENCHMARK(TakeAndFinish)->Arg(1)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(2);

void TakeAndFinishWithManyRows(benchmark::State& state) { TakeAndFinishMany(state, kManyRows); }
BENCHMARK(TakeAndFinishWithManyRows)->Arg(1)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(2);

// How long a start takes with a million jobs.
void OpenWithManyRows(benchmark::State& state) {
  Queue queue(kManyRows);
  for (auto _ : state) {
    queue.queue.reset();
    auto opened = SqliteJobQueue::Open(
        {.file = queue.directory.path + "/queue.db", .directory = queue.directory.path + "/contents"}, queue.pool,
        queue.clock, queue.log);
    if (!opened) throw std::runtime_error(opened.error().what);
    queue.queue = *std::move(opened);
  }
}
BENCHMARK(OpenWithManyRows)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace
}  // namespace lazaret::embedded
