#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/engine.h"
#include "core/job_queue.h"
#include "core/outbox.h"
#include "core/telemetry.h"
#include "service/done_board.h"
#include "service/job_service.h"
#include "service/scan_service.h"
#include "service/workers.h"
#include "webhook/deliverer.h"

namespace lazaret {

// What the asynchronous side of a server is made with; all of it outlives the side.
struct AsyncParts {
  const config::Config& config;
  const std::filesystem::path& data;
  aio::BlockingPool& disk;
  Engine& engine;
  ScanService& scans;
  DoneBoard& board;
  aio::Executor executor;  // the engine's
  const Clock& clock;
  Log& log;
  Telemetry& telemetry;
};

// The asynchronous side of a server: the job queue, the workers that empty it, and who is called back. When the queue
// cannot be opened, scans that are waited for go on without it, and submits are refused with the reason.
class AsyncSide {
 public:
  // Blocks on the disk. Fails only for settings that cannot be.
  static Result<std::unique_ptr<AsyncSide>> Open(AsyncParts parts);

  JobService& jobs() { return *jobs_; }
  JobQueue& queue() { return *queue_; }
  // Any thread.
  Result<void> CheckCallback(std::string_view url) const { return deliverer_->policy().Check(url); }

  void Start();
  // No job is begun, and nobody is held any more.
  void StopTaking();
  // Lets the jobs and the calls that were begun end, at most until `deadline`.
  aio::Task<> Stop(SteadyTime deadline);

 private:
  AsyncSide() = default;

  std::unique_ptr<JobQueue> owned_queue_;
  JobQueue* queue_ = nullptr;
  Outbox* outbox_ = nullptr;
  bool works_ = false;  // the queue could be opened
  DoneBoard* board_ = nullptr;
  std::unique_ptr<JobService> jobs_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<webhook::Deliverer> deliverer_;
};

}  // namespace lazaret
