#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/job_queue.h"
#include "core/outbox.h"

namespace lazaret {

// A job queue that is open, whatever keeps it.
class JobStore {
 public:
  virtual ~JobStore() = default;
  virtual JobQueue& queue() = 0;
  virtual Outbox& outbox() = 0;
  // Once, when nobody uses it any more.
  virtual aio::Task<> Stop() = 0;
};

// Opens a job queue, or says why it cannot be now.
using OpenJobStore = std::function<aio::Task<Result<std::unique_ptr<JobStore>>>()>;

// The queue of a server of its own, in its data directory. Everything must outlive the function and the store.
OpenJobStore EmbeddedJobs(const config::Config& config, const std::filesystem::path& data, aio::BlockingPool& disk,
                          const Clock& clock, Log& log);

}  // namespace lazaret
