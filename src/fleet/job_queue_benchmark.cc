// Jobs a second through one Redis, by 1 to 64 workers whose engine only waits.
// fleet_queue_benchmark URL JOBS SCAN_MS NODES... : for each number of nodes, with one worker each, how fast JOBS are
// taken in by 64 clients, how fast they are worked off, both at once, and how long a job waits for an idle fleet.
// Empties the Redis that it is given.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "aio/deadline.h"
#include "core/stored_content.h"
#include "fleet/redis_job_queue.h"

using namespace lazaret;
namespace asio = boost::asio;

namespace {

constexpr std::size_t kContentBytes = 4096;
constexpr std::size_t kClients = 64;

SteadyTime Now() { return std::chrono::steady_clock::now(); }
double SecondsSince(SteadyTime begin) { return std::chrono::duration<double>(Now() - begin).count(); }

struct Node {
  std::unique_ptr<redis::Client> client;
  std::unique_ptr<fleet::RedisJobQueue> queue;
};

class Bench {
 public:
  Bench(redis::Url url, std::size_t jobs, milliseconds scan) : url_(std::move(url)), jobs_(jobs), scan_(scan) {}

  void Run(std::size_t nodes) {
    Do(Open(nodes));
    const auto before = RoundTrips();
    const double submit = Timed([this] { return Submitters(); }, {});
    const double work = Timed({}, [this] { return Workers(); });
    const auto alone = RoundTrips();
    const double both = Timed([this] { return Submitters(); }, [this] { return Workers(); });
    const auto together = RoundTrips();
    const double wait = Do(WaitOfIdle());
    const auto per_job = [this](std::uint64_t trips) {
      return static_cast<double>(trips) / static_cast<double>(jobs_);
    };
    std::printf(
        "%5zu nodes: submit %7.0f/s  work %7.0f/s (%.1f round trips a job)  both %7.0f/s (%.1f)  idle wait %.2f ms\n",
        nodes, static_cast<double>(jobs_) / submit, static_cast<double>(jobs_) / work, per_job(alone - before),
        static_cast<double>(jobs_) / both, per_job(together - alone), wait);
    std::fflush(stdout);
    Do(Close());
  }

 private:
  template <class T>
  T Do(aio::Task<T> task) {
    auto done = asio::co_spawn(io_, std::move(task), asio::use_future);
    while (done.wait_for(seconds(0)) != std::future_status::ready) {
      io_.restart();
      io_.run_one();
    }
    return done.get();
  }
  std::uint64_t RoundTrips() const {
    std::uint64_t sum = 0;
    for (const Node& node : nodes_) sum += node.client->counters().round_trips;
    return sum;
  }

  aio::Task<bool> Open(std::size_t nodes) {
    for (std::size_t i = 0; i < nodes; ++i) {
      auto made = redis::Client::Make(io_.get_executor(), url_, {}, log_);
      if (!made) throw std::runtime_error(made.error().what);
      Node& node = nodes_.emplace_back();
      node.client = *std::move(made);
      if (i == 0) {
        redis::Command flush{"FLUSHALL"};
        (void)co_await node.client->Call("", std::move(flush), {.deadline = Now() + seconds(5)});
      }
      auto opened = co_await fleet::RedisJobQueue::Open(
          {.policy = {.max_jobs = 10'000'000}, .shards = url_.mode == redis::Mode::kCluster ? 8u : 1u}, *node.client,
          disk_, io_.get_executor(), clock_, log_);
      if (!opened) throw std::runtime_error(opened.error().what);
      node.queue = *std::move(opened);
    }
    co_return true;
  }
  aio::Task<bool> Close() {
    for (Node& node : nodes_) {
      co_await node.queue->Stop();
      node.queue.reset();
      co_await node.client->Stop();
    }
    nodes_.clear();
    co_return true;
  }

  aio::Task<> Submit(fleet::RedisJobQueue& queue) {
    std::string bytes = std::to_string(next_++) + ' ';
    bytes.resize(kContentBytes, 'x');
    const Digest id = Sha256::Of(AsBytes(bytes));
    const auto submitted = co_await queue.Submit(MakeMemoryContent(id, std::move(bytes)), std::nullopt);
    if (!submitted) throw std::runtime_error(submitted.error().what);
  }
  aio::Task<> WorkOne(fleet::RedisJobQueue& queue) {
    auto job = co_await queue.Take(JobKind::kAny, SteadyTime::max());
    if (!job || !*job) throw std::runtime_error(job ? "no job" : job.error().what);
    if (scan_ > milliseconds(0)) co_await aio::SleepUntil(Now() + scan_);
    const auto finished = co_await queue.Finish((*job)->lease, verdict_, JobState::kDone);
    if (!finished) throw std::runtime_error(finished.error().what);
  }

  using Tasks = std::vector<std::future<bool>>;
  Tasks Submitters() {
    Tasks tasks;
    to_submit_ = jobs_;
    const auto client = [this](std::size_t i) -> aio::Task<bool> {
      while (to_submit_ > 0 && to_submit_-- > 0) co_await Submit(*nodes_[i % nodes_.size()].queue);
      co_return true;
    };
    clients_.push_back(client);
    for (std::size_t i = 0; i < kClients; ++i)
      tasks.push_back(asio::co_spawn(io_, clients_.back()(i), asio::use_future));
    return tasks;
  }
  Tasks Workers() {
    Tasks tasks;
    to_work_ = jobs_;
    const auto worker = [this](std::size_t i) -> aio::Task<bool> {
      while (to_work_ > 0 && to_work_-- > 0) co_await WorkOne(*nodes_[i].queue);
      co_return true;
    };
    clients_.push_back(worker);
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      tasks.push_back(asio::co_spawn(io_, clients_.back()(i), asio::use_future));
    return tasks;
  }
  double Timed(const std::function<Tasks()>& one, const std::function<Tasks()>& other) {
    const SteadyTime begin = Now();
    Tasks tasks;
    for (const auto& make : {one, other}) {
      if (make) std::ranges::move(make(), std::back_inserter(tasks));
    }
    for (auto& task : tasks) {
      while (task.wait_for(seconds(0)) != std::future_status::ready) {
        io_.restart();
        io_.run_one();
      }
      task.get();
    }
    return SecondsSince(begin);
  }

  // From the submit to the job's being taken by one of those that wait.
  aio::Task<double> WaitOfIdle() {
    constexpr int kRounds = 100;
    std::vector<double> waits;
    std::vector<std::future<bool>> workers;
    SteadyTime submitted;
    const auto worker = [&](std::size_t i) -> aio::Task<bool> {
      for (;;) {
        const auto job = co_await nodes_[i].queue->Take(JobKind::kAny, Now() + seconds(2));
        if (!job || !*job) co_return true;
        waits.push_back(SecondsSince(submitted));
        (void)co_await nodes_[i].queue->Finish((*job)->lease, verdict_, JobState::kDone);
      }
    };
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      workers.push_back(asio::co_spawn(io_, worker(i), asio::use_future));
    }
    for (int i = 0; i < kRounds; ++i) {
      co_await aio::SleepUntil(Now() + milliseconds(10));
      submitted = Now();
      co_await Submit(*nodes_[0].queue);
    }
    for (auto& one : workers) {
      while (one.wait_for(seconds(0)) != std::future_status::ready) co_await aio::SleepUntil(Now() + milliseconds(20));
    }
    std::ranges::sort(waits);
    co_return waits.empty() ? -1 : 1000 * waits[waits.size() / 2];
  }

  const redis::Url url_;
  const std::size_t jobs_;
  const milliseconds scan_;
  Log log_{LogFormat::kText, LogLevel::kWarning};
  SystemClock clock_;
  aio::BlockingPool disk_{2};
  asio::io_context io_;
  std::vector<Node> nodes_;
  std::vector<std::function<aio::Task<bool>(std::size_t)>> clients_;  // coroutines refer to what they were made from
  std::uint64_t next_ = 0;
  std::size_t to_submit_ = 0;
  std::size_t to_work_ = 0;
  VerdictPtr verdict_ = std::make_shared<const Verdict>(Verdict::Clean(
      ScanRecord{.engine = std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of(AsBytes("set")),
                                                                         .profile = Sha256::Of(AsBytes("profile")),
                                                                         .name = "ClamAV",
                                                                         .version = "1.4.6",
                                                                         .signature_label = "daily 28129, main 63",
                                                                         .built_at = std::nullopt}),
                 .size = kContentBytes,
                 .scanned_at = clock_.Now(),
                 .scan_ms = 3.0}));
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  auto url = redis::Url::Parse(argv[1]);
  if (!url) {
    std::fprintf(stderr, "%s\n", url.error().what.c_str());
    return 2;
  }
  Bench bench(*std::move(url), std::stoul(argv[2]), milliseconds(std::stol(argv[3])));
  for (int i = 4; i < argc; ++i) bench.Run(std::stoul(argv[i]));
}
