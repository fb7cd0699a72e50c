#pragma once

#include <memory>
#include <string_view>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/engine.h"
#include "core/job_queue.h"
#include "core/outbox.h"
#include "core/telemetry.h"
#include "main/job_store.h"
#include "service/done_board.h"
#include "service/job_service.h"
#include "service/late_job_queue.h"
#include "service/scan_service.h"
#include "service/workers.h"
#include "webhook/deliverer.h"

namespace lazaret {

// What the asynchronous side of a server is made with; all of it outlives the side.
struct AsyncParts {
  const config::Config& config;
  OpenJobStore open_queue;
  LateJobQueue& queue;
  Engine& engine;
  ScanService& scans;
  DoneBoard& board;
  aio::Executor executor;  // the engine's
  const Clock& clock;
  Log& log;
  Telemetry& telemetry;
};

// The asynchronous side of a server: the job queue, the workers that empty it unless others do, and who is called back.
// When the queue cannot be opened, scans that are waited for go on without it, and submits are refused with the reason;
// what may pass, such as a full disk, is tried again until it has.
class AsyncSide {
 public:
  // On the executor. Fails only for settings that cannot be.
  static aio::Task<Result<std::unique_ptr<AsyncSide>>> Open(AsyncParts parts);

  JobService& jobs() { return *jobs_; }
  // Any thread.
  Result<void> CheckCallback(std::string_view url) const { return deliverer_->policy().Check(url); }

  void Start();
  // No job is begun, and nobody is held any more.
  void StopTaking();
  // Lets the jobs and the calls that were begun end, at most until `deadline`.
  aio::Task<> Stop(SteadyTime deadline);
  // After that, when nobody uses the queue any more.
  aio::Task<> Close();

 private:
  explicit AsyncSide(AsyncParts parts);
  // False when trying again does not help.
  bool Adopt(Result<std::unique_ptr<JobStore>> opened);
  aio::Task<> OpenLater();
  void StartWork();

  const AsyncParts parts_;
  std::unique_ptr<JobStore> store_;  // null until it could be opened
  bool may_pass_ = false;            // what keeps it from being opened
  aio::TaskGroup tasks_;
  std::unique_ptr<JobService> jobs_;
  std::unique_ptr<Workers> workers_;  // null when jobs are left to other servers
  std::unique_ptr<webhook::Deliverer> deliverer_;
};

}  // namespace lazaret
