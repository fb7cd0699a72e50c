#pragma once

#include <cstdint>
#include <optional>

#include "aio/task.h"
#include "base/clock.h"
#include "core/content.h"
#include "core/job_queue.h"
#include "core/outbox.h"
#include "core/telemetry.h"
#include "service/done_board.h"
#include "service/scan_service.h"

namespace lazaret {

// What came of a submit.
struct Submission {
  ScanState state;
  bool is_queued;  // false: everything was known, and nothing had to be queued
};

// The use cases of asynchronous scans: submit, look up, wait. Every method may be called from any executor and resumes
// on the caller's.
class JobService {
 public:
  // Everything must outlive the service.
  JobService(ScanService& scans, JobQueue& queue, Outbox& outbox, DoneBoard& board, const Clock& clock,
             Telemetry& telemetry);

  // Whether a submit of `size` bytes would be refused now. No engine is needed: the job waits for it.
  Result<void> CheckAdmission(std::uint64_t size) const;
  // When to ask again for a job that is submitted now, about.
  seconds RetryAfter() const;

  // Answers once content and job are durable, or with the verdict that is known and fresh, or an override. A passing
  // verdict is not taken for an answer here: there is time to try again. `callback` is told in any case.
  aio::Task<Result<Submission>> Submit(ContentPtr content, std::optional<Callback> callback);
  // The same for a content that has not come: empty when it has to.
  aio::Task<Result<std::optional<Submission>>> AnswerKnown(Digest id, std::optional<Callback> callback);

  // What is known of a content from jobs, scans and the cache, stale or fresh. kUnavailable or kCorrupt when neither
  // queue nor cache can say.
  aio::Task<Result<ScanState>> Find(Digest id);
  // As ScanService::FindNow.
  std::optional<ScanState> FindNow(const Digest& id) { return scans_.FindNow(id); }
  // The same as soon as it is done or unknown, or as it stands at `until`.
  aio::Task<Result<ScanState>> Await(Digest id, SteadyTime until);

  JobCounts Counts() const { return queue_.Counts(); }
  std::uint64_t callbacks() const { return outbox_.waiting(); }
  std::size_t pollers() const { return board_.waiting(); }

 private:
  ScanState StateOf(const Job& job, ScanState known) const;

  ScanService& scans_;
  JobQueue& queue_;
  Outbox& outbox_;
  DoneBoard& board_;
  const Clock& clock_;
  Telemetry& telemetry_;
};

}  // namespace lazaret
