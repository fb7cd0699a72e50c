#include "load/load_run.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "aio/task_group.h"
#include "load/client.h"

namespace lazaret::bench {
namespace {

namespace asio = boost::asio;

constexpr milliseconds kWatch(100);

// Of the calling thread (getrusage(2)).
double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The clients of one thread.
class Crew {
 public:
  Crew(const Plan& plan, const Phases& phases, SteadyTime end, RequestBudget& budget, Live& live, unsigned number)
      : end_(end),
        pacer_(phases.start, end, ArrivalsOf(plan, number), budget),
        tasks_(io_.get_executor(), [this](std::exception_ptr thrown) { thrown_ = std::move(thrown); }) {
    for (std::uint64_t client = number; client < plan.connections; client += plan.threads) {
      clients_.push_back(std::make_unique<Client>(plan, phases, pacer_, tally_, live, io_.get_executor()));
      const auto wait = plan.ramp * static_cast<std::int64_t>(client) / static_cast<std::int64_t>(plan.connections);
      tasks_.Spawn(Count(clients_.back()->Run(phases.start + wait)));
    }
    running_ = clients_.size();
    tasks_.Spawn(Watch());
  }

  void Run() {
    const SteadyTime began = std::chrono::steady_clock::now();
    const double cpu_before = CpuSeconds();
    io_.run();
    cpu_seconds_ = CpuSeconds() - cpu_before;
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (thrown_) std::rethrow_exception(thrown_);
    // What should have begun has waited at least until the end.
    while (const auto turn = pacer_.TakeMissed()) {
      ++tally_.missed;
      tally_.latency.Record(end_ - turn->intended);
    }
  }

  Tally& tally() { return tally_; }
  double cpu_seconds() const { return cpu_seconds_; }
  double busy() const { return seconds_ > 0 ? cpu_seconds_ / seconds_ : 0; }

 private:
  static std::optional<Arrivals> ArrivalsOf(const Plan& plan, unsigned number) {
    if (!plan.rate) return std::nullopt;
    return Arrivals(*plan.rate, plan.spacing, number, plan.threads, plan.seed);
  }

  // One client less, however it ended.
  struct Leave {
    std::size_t& running;
    ~Leave() { --running; }
  };

  aio::Task<> Count(aio::Task<> client) {
    const Leave leave{running_};
    co_await std::move(client);
  }

  aio::Task<> Watch() {
    while (running_ > 0) {
      const SteadyTime now = std::chrono::steady_clock::now();
      for (const auto& client : clients_) client->CheckDeadline(now);
      co_await aio::SleepUntil(now + kWatch);
    }
  }

  const SteadyTime end_;
  asio::io_context io_{1};
  Pacer pacer_;
  Tally tally_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t running_ = 0;
  double cpu_seconds_ = 0, seconds_ = 0;  // of Run
  std::exception_ptr thrown_;
  aio::TaskGroup tasks_;
};

// Writes what is going on to standard error, once a second, until it is destroyed.
class ProgressLine {
 public:
  ProgressLine(bool wanted, const Live& live) {
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    if (wanted || terminal) {
      thread_ = std::jthread([&live, terminal](const std::stop_token& stop) { Show(stop, live, terminal); });
    }
  }

 private:
  static void Show(const std::stop_token& stop, const Live& live, bool terminal) {
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    std::uint64_t before = 0;
    for (int second = 1; !ended.wait_for(lock, stop, seconds(1), [&] { return stop.stop_requested(); }); ++second) {
      const std::uint64_t finished = live.finished;
      fmt::print(stderr, "{}{:4} s: {} answers, {}/s, {} in flight on {} connections, {} wrong{}", terminal ? "\r" : "",
                 second, finished, finished - before, live.in_flight.load(), live.connected.load(), live.failed.load(),
                 terminal ? "\033[K" : "\n");
      std::fflush(stderr);
      before = finished;
    }
    if (terminal) fmt::print(stderr, "\r\033[K");
  }

  std::jthread thread_;
};

}  // namespace

Outcome Run(const Plan& plan) {
  const SteadyTime start = std::chrono::steady_clock::now();
  const Phases phases{start, start + plan.warm_up};
  const SteadyTime end = plan.duration ? start + *plan.duration : SteadyTime::max();
  RequestBudget budget(plan.requests);
  Live live;
  std::vector<std::unique_ptr<Crew>> crews;
  for (unsigned number = 0; number < plan.threads; ++number) {
    crews.push_back(std::make_unique<Crew>(plan, phases, end, budget, live, number));
  }
  std::mutex mutex;
  std::exception_ptr thrown;
  {
    const ProgressLine progress(plan.progress, live);
    std::vector<std::jthread> threads;
    for (const auto& crew : crews) {
      threads.emplace_back([&] {
        try {
          crew->Run();
        } catch (...) {
          const std::lock_guard lock(mutex);
          thrown = std::current_exception();
        }
      });
    }
  }
  if (thrown) std::rethrow_exception(thrown);
  Outcome outcome;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - phases.measured).count();
  outcome.most_uploading = live.most_uploading;
  for (const auto& crew : crews) {
    outcome.cpu_seconds += crew->cpu_seconds();
    outcome.busy = std::max(outcome.busy, crew->busy());
    outcome.tally.Merge(std::move(crew->tally()));
  }
  return outcome;
}

}  // namespace lazaret::bench
