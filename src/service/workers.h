#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/engine.h"
#include "core/job_queue.h"
#include "core/telemetry.h"
#include "service/done_board.h"
#include "service/scan_service.h"

namespace lazaret {

struct WorkerSettings {
  std::size_t any_size = 1;        // workers that take jobs of any size
  std::size_t small_only = 0;      // further ones, so that small jobs do not wait for large ones
  std::uint32_t attempts = 3;      // scans that end in a passing failure, before the job is a dead letter
  std::uint32_t max_lost = 10;     // leases that end without a word, or scans without a verdict, before it is one
  milliseconds lease{60'000};      // as the queue has it
  milliseconds retry_pause{5000};  // before the second attempt; doubled for each further one
};

// Take jobs from the queue and see each to its end: look in the cache, scan on a miss, have the verdict saved, then end
// the job. A crash between any two steps leaves the job to be taken again, and at worst costs a second scan.
// Everything runs on one executor, the engine's.
class Workers {
 public:
  Workers(WorkerSettings settings, JobQueue& queue, ScanService& scans, Engine& engine, DoneBoard& board,
          aio::Executor executor, const Clock& clock, Log& log, Telemetry& telemetry);

  void Start();
  // No job is begun from now on.
  void StopTaking();
  // Waits until the jobs that were begun have ended, at most until `deadline`; gives the rest back then.
  aio::Task<> Drain(SteadyTime deadline);

 private:
  struct Worker {
    std::function<void()> cancel;
    bool is_busy = false;
  };
  // How the work on a job ends.
  struct End {
    enum class What { kDone, kDead, kRetry, kRelease } what;
    VerdictPtr verdict;  // of kDone and kDead
    std::string why;     // of kDead and kRetry
  };
  class LeaseGuard;

  aio::Task<> Run(Worker& worker, JobKind kind);
  aio::Task<> TakeAndWork(Worker& worker, JobKind kind);
  aio::Task<> Work(LeasedJob job);
  aio::Task<End> Judge(const LeasedJob& job);
  aio::Task<End> JudgeContent(const LeasedJob& job);
  End OnAnswer(const LeasedJob& job, Answer answer) const;
  End OnVerdict(const LeasedJob& job, VerdictPtr verdict) const;
  End OnFailure(const LeasedJob& job, const std::string& why) const;
  End Dead(const LeasedJob& job, Reason reason, std::string why) const;
  // Renews until the lease is lost.
  aio::Task<> KeepLease(Lease lease);
  aio::Task<> Settle(Lease lease, std::uint32_t attempts, End end);
  aio::Task<Result<void>> Write(const Lease& lease, std::uint32_t attempts, const End& end);
  void Report(const Result<void>& result);

  const WorkerSettings settings_;
  JobQueue& queue_;
  ScanService& scans_;
  Engine& engine_;
  DoneBoard& board_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  std::list<Worker> workers_;
  bool stopping_ = false;
  bool queue_failed_ = false;
  aio::TaskGroup tasks_;    // the workers
  aio::TaskGroup endings_;  // what is being written about jobs that have ended
};

}  // namespace lazaret
