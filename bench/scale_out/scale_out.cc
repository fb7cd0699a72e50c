// Jobs a second through one Redis by 1 to 64 servers whose engine only waits: everything else is what a worker runs (job
// queue, claims, verdict cache, scan service, workers), each with a thread, a connection and an identity of its own.
// scale_out URL JOBS SCAN_MS WORKERS...     URL: a Redis that may be emptied
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "aio/blocking_pool.h"
#include "aio/deadline.h"
#include "core/stored_content.h"
#include "embedded/memory_verdict_cache.h"
#include "fleet/redis_job_queue.h"
#include "fleet/scan_claims.h"
#include "fleet/verdict_cache.h"
#include "redis/client.h"
#include "service/scan_service.h"
#include "service/workers.h"

using namespace lazaret;
namespace asio = boost::asio;

namespace {

constexpr std::size_t kSlots = 3;  // two for any content and one for small ones, as on two cores
constexpr std::size_t kContentBytes = 4096;
constexpr std::size_t kSubmitsAtOnce = 64;

[[noreturn]] void Die(const Error& error) {
  std::fprintf(stderr, "%s\n", error.what.c_str());
  std::exit(1);
}

class WaitingEngine final : public Engine {
 public:
  explicit WaitingEngine(milliseconds scan) : scan_(scan) {}
  EngineInfoPtr Current() const override { return info_; }
  std::string NotReadyReason() const override { return ""; }
  std::size_t Slots() const override { return kSlots; }
  bool EndsCancelledScans() const override { return true; }
  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime) override {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + scan_);
    co_return Verdict::Clean({info_, content->size(), SystemClock().Now(), static_cast<double>(scan_.count())});
  }

 private:
  const milliseconds scan_;
  const EngineInfoPtr info_ = std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of({}),
                                                                            .profile = Sha256::Of({}),
                                                                            .name = "waiting",
                                                                            .version = "1",
                                                                            .signature_label = "none",
                                                                            .built_at = {},
                                                                            .databases = {},
                                                                            .isolation = {}});
};

// One server with everything of its own.
class Node {
 public:
  Node(const redis::Url& url, milliseconds scan) : engine_(scan) {
    auto client = redis::Client::Make(io_.get_executor(), url, {}, log_);
    if (!client) Die(client.error());
    client_ = *std::move(client);
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(io_);
      io_.run();
    });
    Run(Open());
  }
  ~Node() {
    Run(Close());
    io_.stop();
    thread_.join();
  }

  void StartWorkers() { Run(Start()); }
  void Submit(std::size_t first, std::size_t count) {
    std::vector<std::future<void>> all;
    for (std::size_t i = 0; i < kSubmitsAtOnce; ++i) {
      all.push_back(asio::co_spawn(io_, SubmitSome(first + i, first + count), asio::use_future));
    }
    for (auto& one : all) one.get();
  }
  std::uint64_t round_trips() const { return client_->counters().round_trips; }
  std::uint64_t Unfinished() {
    const JobCounts counts = queue_->Counts();
    return counts.queued + counts.leased;
  }

 private:
  template <class Task>
  void Run(Task task) {
    asio::co_spawn(io_, std::move(task), asio::use_future).get();
  }
  aio::Task<> Open() {
    for (int i = 0; queue_ == nullptr; ++i) {
      auto queue = co_await fleet::RedisJobQueue::Open({.policy = {.max_jobs = 10'000'000}}, *client_, disk_,
                                                       io_.get_executor(), clock_, log_);
      if (queue) {
        queue_ = *std::move(queue);
      } else if (i == 100) {
        Die(queue.error());
      } else {
        co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(50));
      }
    }
    shared_ = std::make_unique<fleet::RedisVerdictCache>(*client_, clock_, fleet::RedisVerdictCache::Settings{});
    cache_ = std::make_unique<embedded::MemoryVerdictCache>(clock_, CachePolicy{}, 100'000, shared_.get());
    claims_ = std::make_unique<fleet::RedisScanClaims>(*client_, io_.get_executor(),
                                                       fleet::RedisScanClaims::Settings{}, clock_, log_);
    scans_ = std::make_unique<ScanService>(ScanServiceSettings{.sharing = CacheSharing::kFleet}, engine_, *cache_,
                                           board_, io_.get_executor(), clock_, log_, telemetry_, claims_.get());
    workers_ = std::make_unique<Workers>(WorkerSettings{.any_size = kSlots - 1, .small_only = 1}, *queue_, *scans_,
                                         engine_, board_, io_.get_executor(), clock_, log_, telemetry_);
  }
  aio::Task<> Start() {
    workers_->Start();
    co_return;
  }
  aio::Task<> SubmitSome(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; i += kSubmitsAtOnce) {
      std::string bytes = fmt::format("{:<{}}", i, kContentBytes);
      const Digest digest = Sha256::Of(AsBytes(bytes));
      const auto submitted = co_await queue_->Submit(MakeMemoryContent(digest, std::move(bytes)), std::nullopt);
      if (!submitted) Die(submitted.error());
    }
  }
  aio::Task<> Close() {
    co_await workers_->Drain(clock_.SteadyNow() + seconds(10));
    co_await scans_->Drain(clock_.SteadyNow());
    co_await queue_->Stop();
    co_await claims_->Stop();
    co_await client_->Stop();
  }

  asio::io_context io_{1};
  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  aio::BlockingPool disk_{1};
  WaitingEngine engine_;
  DoneBoard board_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<fleet::RedisJobQueue> queue_;
  std::unique_ptr<fleet::RedisVerdictCache> shared_;
  std::unique_ptr<embedded::MemoryVerdictCache> cache_;
  std::unique_ptr<fleet::RedisScanClaims> claims_;
  std::unique_ptr<ScanService> scans_;
  std::unique_ptr<Workers> workers_;
  std::thread thread_;
};

double SecondsSince(SteadyTime start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "scale_out URL JOBS SCAN_MS WORKERS...\n");
    return 2;
  }
  const auto url = redis::Url::Parse(argv[1]);
  if (!url) Die(url.error());
  const std::size_t jobs = std::strtoull(argv[2], nullptr, 10);
  const milliseconds scan(std::strtoll(argv[3], nullptr, 10));
  std::size_t next = 0;
  std::printf("workers,submits_per_s,jobs_per_s,most_jobs_per_s,round_trips_per_job\n");
  for (int i = 4; i < argc; ++i) {
    const std::size_t count = std::strtoull(argv[i], nullptr, 10);
    std::deque<Node> nodes;
    for (std::size_t n = 0; n < count; ++n) nodes.emplace_back(*url, scan);
    Node submitter(*url, scan);
    SteadyTime start = std::chrono::steady_clock::now();
    submitter.Submit(next, jobs);
    next += jobs;
    const double submits = static_cast<double>(jobs) / SecondsSince(start);
    std::uint64_t before = 0, after = 0;
    for (Node& node : nodes) before += node.round_trips();
    start = std::chrono::steady_clock::now();
    for (Node& node : nodes) node.StartWorkers();
    while (nodes.front().Unfinished() > 0 || submitter.Unfinished() > 0) std::this_thread::sleep_for(milliseconds(20));
    const double took = SecondsSince(start);
    for (Node& node : nodes) after += node.round_trips();
    const double most = static_cast<double>(count * kSlots) * 1000 / static_cast<double>(std::max<std::int64_t>(scan.count(), 1));
    std::printf("%zu,%.0f,%.0f,%.0f,%.2f\n", count, submits, static_cast<double>(jobs) / took, most,
                static_cast<double>(after - before) / static_cast<double>(jobs));
    std::fflush(stdout);
  }
  return 0;
}
