#pragma once

#include <utility>

#include "core/job_queue.h"
#include "core/outbox.h"

namespace lazaret {

// Stands in for a job queue that could not be opened: every call says why, and everything else goes on without it.
class AbsentJobQueue final : public JobQueue, public Outbox {
 public:
  explicit AbsentJobQueue(Error why) : why_(std::move(why)) {}

  Result<void> CheckRoom(std::uint64_t) const override { return std::unexpected(why_); }
  aio::Task<Result<Submitted>> Submit(ContentPtr, std::optional<Callback>) override { co_return std::unexpected(why_); }
  aio::Task<Result<std::optional<Job>>> Find(Digest) override { co_return std::unexpected(why_); }
  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind, SteadyTime) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Renew(Lease) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Finish(Lease, VerdictPtr, JobState) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Retry(Lease, milliseconds, std::string) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Release(Lease) override { co_return std::unexpected(why_); }
  JobCounts Counts() const override { return {}; }
  aio::Task<Result<std::vector<Job>>> List(JobFilter) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Revive(Digest) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Drop(Digest) override { co_return std::unexpected(why_); }

  aio::Task<Result<void>> Add(Digest, VerdictPtr, Callback) override { co_return std::unexpected(why_); }
  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds, SteadyTime) override {
    co_return std::unexpected(why_);
  }
  aio::Task<Result<void>> Close(std::uint64_t) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Postpone(std::uint64_t, milliseconds) override { co_return std::unexpected(why_); }
  aio::Task<Result<void>> Return(std::uint64_t, milliseconds) override { co_return std::unexpected(why_); }
  std::uint64_t waiting() const override { return 0; }

 private:
  const Error why_;
};

}  // namespace lazaret
