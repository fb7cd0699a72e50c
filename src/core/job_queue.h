#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/content.h"
#include "core/job.h"

namespace lazaret {

// How much a queue takes, and how long it keeps what has finished.
struct JobPolicy {
  std::uint64_t max_jobs = 100'000;                   // that are queued or leased
  std::uint64_t max_bytes = std::uint64_t{64} << 30;  // of their contents
  std::uint64_t small_size = 1024 * 1024;             // contents up to this many bytes make small jobs
  std::size_t max_callbacks = 16;                     // that wait for one job
  milliseconds lease{60'000};                         // a worker that is silent for this long has lost its job
  milliseconds keep_done{std::chrono::hours(24)};     // readable for this long after the end
  milliseconds keep_dead{std::chrono::hours(24 * 7)};
  std::uint64_t max_done = 1'000'000;  // more than that: the oldest go first
  std::uint64_t max_dead = 10'000;
  std::uint64_t max_dead_bytes = std::uint64_t{1} << 30;  // beyond it the oldest dead letters lose their contents
};

enum class Submitted {
  kQueued,    // a new job, or a finished one that begins again
  kAttached,  // the job of this content was queued or leased already
};

// A worker's right to one job. It ends when it is not renewed for JobPolicy::lease.
struct Lease {
  Digest id;
  std::uint64_t token;  // differs from every earlier lease's
};

struct LeasedJob {
  Lease lease;
  std::uint64_t size;      // bytes
  std::uint32_t attempts;  // scans that ended without a verdict to keep, before this one
  std::uint32_t lost;      // leases before this one whose holder vanished
  // The very bytes that were submitted: hashed again when they were read. kCorrupt when they are damaged or gone.
  Result<ContentPtr> content;
};

enum class JobKind { kAny, kSmall };

struct JobCounts {
  std::uint64_t queued = 0;
  std::uint64_t leased = 0;
  std::uint64_t done = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;         // of contents that are queued or leased
  std::optional<WallTime> oldest;  // submit of the oldest job that is queued or leased
};

// Which jobs List shows: the newest first, at most `limit`.
struct JobFilter {
  std::optional<JobState> state;
  std::size_t limit = 100;
};

// Jobs with their contents, durable: what Submit has answered for survives kill -9 of every process and ends as done or
// as a dead letter. Bounded by its JobPolicy. Every method may be called from any executor and resumes on the caller's.
// A queue that cannot be reached, read or written is kUnavailable, kOverloaded when its disk is full, kCorrupt when it
// is damaged.
class JobQueue {
 public:
  virtual ~JobQueue() = default;

  // Whether Submit would refuse a content of `size` bytes now: kOverloaded when the queue is full, kTooLarge when it
  // could never take that much, otherwise as above. For front doors to ask before they read a body. Does not wait.
  virtual Result<void> CheckRoom(std::uint64_t size) const = 0;

  // Makes content and job durable, in one step for whoever looks on, and answers then. After an error the job may be
  // there all the same (an ambiguous write): submitting again is always right. A finished job of this content begins
  // again with this content. `callback` is told when the job finishes; the same callback again is not told twice.
  // kOverloaded and kTooLarge as in CheckRoom; kOverloaded also when too many callbacks wait.
  virtual aio::Task<Result<Submitted>> Submit(ContentPtr content, std::optional<Callback> callback) = 0;

  // The same for somebody who waits for the end: Take prefers it to jobs that nobody waits for, of which every fifth
  // goes on all the same while both wait. Also when the job was queued already. A queue whose server scans by itself
  // what is waited for makes no difference.
  virtual aio::Task<Result<Submitted>> SubmitUrgent(ContentPtr content) {
    return Submit(std::move(content), std::nullopt);
  }

  // Empty when there is no such job or it has expired.
  virtual aio::Task<Result<std::optional<Job>>> Find(Digest id) = 0;

  // The next job, under a lease: the oldest of those that may begin, also one whose lease has ended without a word.
  // kSmall leaves large ones out: a worker that takes only those keeps small jobs from waiting for large ones. Tries at
  // once, then waits for a job to come until `until`; empty then.
  virtual aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind kind, SteadyTime until) = 0;

  // The four below answer kNotFound when the lease has been lost: another worker may have the job, or it was dropped.
  virtual aio::Task<Result<void>> Renew(Lease lease) = 0;
  // The job is done, or a dead letter, whose last attempt is counted; its callbacks are due. A content that is no longer needed is deleted. `verdict`
  // is durable when this returns.
  virtual aio::Task<Result<void>> Finish(Lease lease, VerdictPtr verdict, JobState end) = 0;
  // A scan ended without a verdict to keep: the attempt is counted, and the job may begin again after `pause`.
  virtual aio::Task<Result<void>> Retry(Lease lease, milliseconds pause, std::string why) = 0;
  // The job was not begun, or not to its end, by no fault of its own: nothing is counted, and it keeps its place.
  virtual aio::Task<Result<void>> Release(Lease lease) = 0;

  // For the operator.
  virtual JobCounts Counts() const = 0;  // any thread, without waiting
  virtual aio::Task<Result<std::vector<Job>>> List(JobFilter filter) = 0;
  // Lets a dead letter begin again from nothing. kNotFound when there is none of this id, kMalformed when it is not a
  // dead letter or its content is gone.
  virtual aio::Task<Result<void>> Revive(Digest id) = 0;
  // Forgets a job, its content and its callbacks, whatever its state; who holds its lease loses it. kNotFound when
  // there is none.
  virtual aio::Task<Result<void>> Drop(Digest id) = 0;
};

}  // namespace lazaret
