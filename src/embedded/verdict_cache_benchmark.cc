#include <benchmark/benchmark.h>

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "aio/run_tasks.h"
#include "embedded/memory_verdict_cache.h"
#include "embedded/sqlite_verdict_cache.h"

namespace lazaret::embedded {
namespace {

constexpr std::size_t kVerdicts = 100'000;

std::vector<Digest> MakeDigests() {
  std::vector<Digest> digests;
  for (std::size_t i = 0; i < kVerdicts; ++i) digests.push_back(Sha256::Of(AsBytes(std::to_string(i))));
  return digests;
}

VerdictPtr MakeVerdict(const EngineInfoPtr& engine) {
  return std::make_shared<const Verdict>(
      Verdict::Clean(ScanRecord{.engine = engine, .size = 4096, .scanned_at = SystemClock().Now(), .scan_ms = 3.0}));
}

EngineInfoPtr MakeEngine() {
  return std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of(AsBytes("set")),
                                                       .profile = Sha256::Of(AsBytes("profile")),
                                                       .name = "ClamAV",
                                                       .version = "1.4.6",
                                                       .signature_label = "daily 28129, main 63",
                                                       .built_at = std::nullopt,
                                                       .signatures = 3'600'000,
                                                       .test_set = false});
}

struct Memory {
  Memory() {
    const EngineInfoPtr engine = MakeEngine();
    aio::RunTasks(kVerdicts, 1, [&](std::size_t i) { return cache.Store(digests[i], MakeVerdict(engine)); });
  }
  SystemClock clock;
  std::vector<Digest> digests = MakeDigests();
  MemoryVerdictCache cache{clock, CachePolicy{}, kVerdicts};
};

struct File {
  explicit File(bool filled) {
    std::string pattern = "/tmp/lazaret-benchmark-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    directory = pattern;
    auto opened = SqliteVerdictCache::Open({.path = directory + "/verdicts.db"}, clock, log);
    if (!opened) throw std::runtime_error(opened.error().what);
    cache = *std::move(opened);
    if (filled) {
      aio::RunTasks(kVerdicts, 1000, [&](std::size_t i) { return cache->Store(digests[i], MakeVerdict(engine)); });
    }
  }
  ~File() {
    cache.reset();
    std::filesystem::remove_all(directory);
  }
  SystemClock clock;
  Log log{LogFormat::kText, LogLevel::kError};
  std::vector<Digest> digests = MakeDigests();
  EngineInfoPtr engine = MakeEngine();
  std::string directory;
  std::unique_ptr<SqliteVerdictCache> cache;
};

void MemoryPeek(benchmark::State& state) {
  static std::unique_ptr<Memory> memory;  // shared by the benchmark's threads
  if (state.thread_index() == 0) memory = std::make_unique<Memory>();
  std::size_t i = static_cast<std::size_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    const VerdictPtr verdict = memory->cache.Peek(memory->digests[i = (i + 1) % kVerdicts]);
    if (verdict == nullptr) state.SkipWithError("missed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(MemoryPeek)->ThreadRange(1, 2)->UseRealTime();

void MemoryPeekOfOneVerdict(benchmark::State& state) {
  static std::unique_ptr<Memory> memory;
  if (state.thread_index() == 0) memory = std::make_unique<Memory>();
  for (auto _ : state) benchmark::DoNotOptimize(memory->cache.Peek(memory->digests[0]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(MemoryPeekOfOneVerdict)->ThreadRange(1, 2)->UseRealTime();

void SqliteFind(benchmark::State& state) {
  const File file(true);
  const auto concurrent = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t kBatch = 10'000;
  std::size_t first = 0;
  for (auto _ : state) {
    aio::RunTasks(kBatch, concurrent,
             [&](std::size_t i) { return file.cache->Find(file.digests[(first + i) * 7919 % kVerdicts]); });
    first += kBatch;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(SqliteFind)->Arg(1)->Arg(100)->UseRealTime()->Unit(benchmark::kMillisecond);

void SqliteStore(benchmark::State& state) {
  const File file(false);
  const auto concurrent = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t kBatch = 10'000;
  std::size_t first = 0;
  for (auto _ : state) {
    aio::RunTasks(kBatch, concurrent, [&](std::size_t i) {
      return file.cache->Store(file.digests[(first + i) % kVerdicts], MakeVerdict(file.engine));
    });
    first += kBatch;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
  const auto stats = file.cache->stats();
  state.counters["per_commit"] = static_cast<double>(stats.writes) / static_cast<double>(stats.write_groups);
}
BENCHMARK(SqliteStore)->Arg(1)->Arg(100)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lazaret::embedded
