#include "main/job_store.h"

#include <utility>

#include "embedded/sqlite_job_queue.h"
#include "main/settings.h"

namespace lazaret {
namespace {

class EmbeddedJobStore final : public JobStore {
 public:
  explicit EmbeddedJobStore(std::unique_ptr<embedded::SqliteJobQueue> jobs) : jobs_(std::move(jobs)) {}
  JobQueue& queue() override { return *jobs_; }
  Outbox& outbox() override { return *jobs_; }
  aio::Task<> Stop() override { co_return; }

 private:
  const std::unique_ptr<embedded::SqliteJobQueue> jobs_;
};

}  // namespace

OpenJobStore EmbeddedJobs(const config::Config& config, const std::filesystem::path& data, aio::BlockingPool& disk,
                          const Clock& clock, Log& log) {
  return [&config, &data, &disk, &clock, &log]() -> aio::Task<Result<std::unique_ptr<JobStore>>> {
    auto opened = co_await disk.Run(
        [&] { return embedded::SqliteJobQueue::Open(MakeQueueSettings(config, data), disk, clock, log); });
    if (!opened) co_return std::unexpected(opened.error());
    co_return std::make_unique<EmbeddedJobStore>(*std::move(opened));
  };
}

}  // namespace lazaret
