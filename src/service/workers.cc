#include "service/workers.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "aio/caught.h"
#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret {
namespace {

// Ends that may be on their way to the disk while their workers have gone on.
constexpr std::size_t kMostEndings = 64;
constexpr milliseconds kEngineTick{100};
constexpr int kMostOverloads = 10;
constexpr milliseconds kQueuePause{1000};
constexpr std::chrono::minutes kLongestTake{10};
constexpr std::chrono::minutes kLongestPause{10};

}  // namespace

// Gives a job back whose work was cut short.
class Workers::LeaseGuard {
 public:
  LeaseGuard(Workers& workers, const Lease& lease) : workers_(workers), lease_(lease) {}
  LeaseGuard(const LeaseGuard&) = delete;
  LeaseGuard& operator=(const LeaseGuard&) = delete;
  ~LeaseGuard() {
    if (armed_) workers_.endings_.Spawn(workers_.Settle(lease_, 0, {End::What::kRelease, nullptr, {}}));
  }
  void Disarm() { armed_ = false; }

 private:
  Workers& workers_;
  const Lease lease_;
  bool armed_ = true;
};

Workers::Workers(WorkerSettings settings, JobQueue& queue, ScanService& scans, Engine& engine, DoneBoard& board,
                 aio::Executor executor, const Clock& clock, Log& log, Telemetry& telemetry)
    : settings_(settings),
      queue_(queue),
      scans_(scans),
      engine_(engine),
      board_(board),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      tasks_(executor, [this](std::exception_ptr error) { log_.Error("worker failed", {{"error", WhatOf(error)}}); }),
      endings_(executor,
               [this](std::exception_ptr error) { log_.Error("job not ended", {{"error", WhatOf(error)}}); }) {}

void Workers::Start() {
  for (std::size_t i = 0; i < settings_.any_size + settings_.small_only; ++i) {
    Worker& worker = workers_.emplace_back();
    worker.cancel = tasks_.SpawnCancellable(Run(worker, i < settings_.any_size ? JobKind::kAny : JobKind::kSmall));
  }
}

void Workers::StopTaking() {
  stopping_ = true;
  for (Worker& worker : workers_) {
    if (!worker.is_busy && worker.cancel) worker.cancel();
  }
}

aio::Task<> Workers::Drain(SteadyTime deadline) {
  StopTaking();
  while (tasks_.size() > 0 && clock_.SteadyNow() < deadline) {
    co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(20));
  }
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
  endings_.Close();
  // What cannot be written now is taken up when its lease has ended.
  const SteadyTime last = std::max(deadline, clock_.SteadyNow() + seconds(1));
  while (endings_.size() > 0 && clock_.SteadyNow() < last) {
    co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(20));
  }
  endings_.CancelAll();
  co_await endings_.Wait();
}

aio::Task<> Workers::Run(Worker& worker, JobKind kind) {
  while (!stopping_) {
    const auto worked = co_await aio::Caught(TakeAndWork(worker, kind));
    worker.is_busy = false;
    if (!worked) {
      log_.Error("worker failed, and goes on", {{"error", worked.error().what}});
      co_await aio::SleepUntil(clock_.SteadyNow() + kQueuePause);
    }
    while (endings_.size() >= kMostEndings) co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(10));
  }
}

aio::Task<> Workers::TakeAndWork(Worker& worker, JobKind kind) {
  if (engine_.Current() == nullptr) {
    co_await aio::SleepUntil(clock_.SteadyNow() + kEngineTick);
    co_return;
  }
  auto job = co_await queue_.Take(kind, clock_.SteadyNow() + kLongestTake);
  Report(job ? Result<void>() : std::unexpected(job.error()));
  if (!job) {
    co_await aio::SleepUntil(clock_.SteadyNow() + kQueuePause);
    co_return;
  }
  if (!*job) co_return;
  worker.is_busy = true;
  co_await Work(**std::move(job));
}

void Workers::Report(const Result<void>& result) {
  if (!result && result.error().code == Errc::kCancelled) return;
  if (result) {
    if (std::exchange(queue_failed_, false)) log_.Info("job queue works again");
  } else if (!std::exchange(queue_failed_, true)) {
    log_.Error("job queue does not work", {{"error", result.error().what}});
  }
}

aio::Task<> Workers::Work(LeasedJob job) {
  using namespace boost::asio::experimental::awaitable_operators;
  LeaseGuard guard(*this, job.lease);
  if (job.lost > 0) telemetry_.OnJob(JobEvent::kLost);
  auto first = co_await (Judge(job) || KeepLease(job.lease));
  guard.Disarm();
  if (first.index() == 1) {
    log_.Warning("lease lost while its job was worked on", {{"id", job.lease.id.Hex()}});
    co_return;
  }
  endings_.Spawn(Settle(job.lease, job.attempts, std::get<0>(std::move(first))));
}

// Never throws, but when it is cancelled: nobody would notice until the lease is lost (Asio 1.81, operator||).
aio::Task<Workers::End> Workers::Judge(const LeasedJob& job) {
  auto judged = co_await aio::Caught(JudgeContent(job));
  if (judged) co_return *std::move(judged);
  log_.Error("work on a job failed", {{"id", job.lease.id.Hex()}, {"error", judged.error().what}});
  co_return OnFailure(job, judged.error().what);
}

aio::Task<Workers::End> Workers::JudgeContent(const LeasedJob& job) {
  if (job.lost >= settings_.max_lost) {
    co_return Dead(job, Reason::kEngineCrashed,
                   fmt::format("the server ended {} times while it worked on this content", job.lost));
  }
  if (!job.content) {
    if (job.content.error().code != Errc::kCorrupt) co_return OnFailure(job, job.content.error().what);
    co_return Dead(job, Reason::kContentLost, job.content.error().what);
  }
  auto known = co_await scans_.FindFresh(job.lease.id);
  // A passing verdict is what another attempt is for.
  if (known && known->IsLasting()) co_return OnAnswer(job, *std::move(known));
  // The engine may have gone while there was nothing to take.
  if (engine_.Current() == nullptr) co_return End{End::What::kRelease, nullptr, {}};
  for (int attempt = 1;; ++attempt) {
    auto answer = co_await scans_.Scan(*job.content, SteadyTime::max(), Urgency::kQueued);
    if (answer) co_return OnAnswer(job, *std::move(answer));
    if (stopping_) co_return End{End::What::kRelease, nullptr, {}};
    // The scan was shared with somebody who was in a hurry, and given up with him.
    const bool was_shared = answer.error().code == Errc::kOverloaded;
    if (!was_shared || attempt == kMostOverloads) co_return OnFailure(job, answer.error().what);
    co_await aio::SleepUntil(clock_.SteadyNow() + kEngineTick);
  }
}

Workers::End Workers::OnAnswer(const LeasedJob& job, Answer answer) const {
  if (answer.overriding == nullptr) return OnVerdict(job, std::move(answer.verdict));
  VerdictPtr not_scanned = scans_.NotScanned(job.size);
  // Without an engine the job waits, as every job does; whoever asks gets the override all the same.
  if (not_scanned == nullptr) return {End::What::kRelease, nullptr, {}};
  return {End::What::kDone, std::move(not_scanned), {}};
}

Workers::End Workers::OnVerdict(const LeasedJob& job, VerdictPtr verdict) const {
  if (!verdict->IsPassing()) return {End::What::kDone, std::move(verdict), {}};
  std::string why = fmt::format("{}: {}", ToString(verdict->reason()), verdict->detail());
  // The engine has tried a content that crashes it as often as it may (engine.attempts).
  const bool is_last = verdict->reason() == Reason::kEngineCrashed || job.attempts + 1 >= settings_.attempts;
  if (is_last) return {End::What::kDead, std::move(verdict), std::move(why)};
  return {End::What::kRetry, nullptr, std::move(why)};
}

Workers::End Workers::OnFailure(const LeasedJob& job, const std::string& why) const {
  if (job.attempts + 1 < settings_.max_lost) return {End::What::kRetry, nullptr, why};
  return Dead(job, Reason::kEngineError, fmt::format("no verdict after {} attempts: {}", job.attempts + 1, why));
}

Workers::End Workers::Dead(const LeasedJob& job, Reason reason, std::string why) const {
  const EngineInfoPtr engine = engine_.Current();
  // A verdict names its engine: without one the job waits for the next.
  if (engine == nullptr) return {End::What::kRelease, nullptr, {}};
  return {End::What::kDead,
          std::make_shared<const Verdict>(Verdict::Unscannable({engine, job.size, clock_.Now(), 0}, reason, why)), why};
}

aio::Task<> Workers::KeepLease(Lease lease) {
  for (;;) {
    co_await aio::SleepUntil(clock_.SteadyNow() + settings_.lease / 3);
    const auto renewed = co_await queue_.Renew(lease);
    if (!renewed && renewed.error().code == Errc::kNotFound) co_return;
    Report(renewed);
  }
}

aio::Task<Result<void>> Workers::Write(const Lease& lease, std::uint32_t attempts, const End& end) {
  switch (end.what) {
    case End::What::kDone: co_return co_await queue_.Finish(lease, end.verdict, JobState::kDone);
    case End::What::kDead: co_return co_await queue_.Finish(lease, end.verdict, JobState::kDead);
    case End::What::kRetry: {
      const auto pause = settings_.retry_pause * (std::int64_t{1} << std::min(attempts, 10u));
      co_return co_await queue_.Retry(lease, std::min<milliseconds>(pause, kLongestPause), end.why);
    }
    case End::What::kRelease: break;
  }
  co_return co_await queue_.Release(lease);
}

aio::Task<> Workers::Settle(Lease lease, std::uint32_t attempts, End end) {
  for (;;) {
    const auto written = co_await Write(lease, attempts, end);
    if (!written && written.error().code == Errc::kNotFound) co_return;  // somebody else's now, or dropped
    Report(written);
    if (written) break;
    // Tried for as long as the lease is ours; whoever takes the job after that may find the verdict in the cache.
    co_await aio::SleepUntil(clock_.SteadyNow() + kQueuePause);
  }
  const std::string id = lease.id.Hex();
  switch (end.what) {
    case End::What::kDone: telemetry_.OnJob(JobEvent::kDone); break;
    case End::What::kDead:
      telemetry_.OnJob(JobEvent::kDead);
      log_.Warning("dead letter", {{"id", id}, {"attempts", attempts + 1}, {"why", end.why}});
      break;
    case End::What::kRetry:
      telemetry_.OnJob(JobEvent::kRetried);
      log_.Warning("job to be tried again", {{"id", id}, {"attempts", attempts + 1}, {"why", end.why}});
      break;
    case End::What::kRelease: break;
  }
  if (end.verdict != nullptr) board_.Announce(lease.id, end.verdict);
}

}  // namespace lazaret
