#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/job_queue.h"
#include "core/verdict_samples.h"

namespace lazaret::http {

// Jobs in memory as the operator meets them, for tests: nothing takes them. Any one thread.
class SampleJobs final : public JobQueue {
 public:
  aio::Task<Result<std::optional<Job>>> Find(Digest id) override {
    if (failure) co_return std::unexpected(*failure);
    const auto job = jobs.find(id);
    if (job == jobs.end()) co_return std::nullopt;
    co_return job->second;
  }
  aio::Task<Result<std::vector<Job>>> List(JobFilter filter) override {
    if (failure) co_return std::unexpected(*failure);
    std::vector<Job> found;
    for (const auto& [id, job] : jobs) {
      if (!filter.state || job.state == *filter.state) found.push_back(job);
    }
    std::ranges::sort(found, std::ranges::greater(), &Job::submitted_at);
    if (found.size() > filter.limit)
      found.erase(found.begin() + static_cast<std::ptrdiff_t>(filter.limit), found.end());
    co_return found;
  }
  aio::Task<Result<void>> Revive(Digest id) override {
    if (failure) co_return std::unexpected(*failure);
    const auto job = jobs.find(id);
    if (job == jobs.end()) co_return Fail(Errc::kNotFound, "no such job");
    if (job->second.state != JobState::kDead) co_return Fail(Errc::kMalformed, "the job is no dead letter");
    if (!job->second.has_content) co_return Fail(Errc::kMalformed, "its content is gone");
    job->second = Make(id, JobState::kQueued, job->second.submitted_at);
    co_return Result<void>();
  }
  aio::Task<Result<void>> Drop(Digest id) override {
    if (failure) co_return std::unexpected(*failure);
    if (jobs.erase(id) == 0) co_return Fail(Errc::kNotFound, "no such job");
    co_return Result<void>();
  }
  JobCounts Counts() const override {
    const auto count = [&](JobState state) {
      return static_cast<std::uint64_t>(
          std::ranges::count_if(jobs, [&](const auto& entry) { return entry.second.state == state; }));
    };
    return {.queued = count(JobState::kQueued),
            .leased = count(JobState::kLeased),
            .done = count(JobState::kDone),
            .dead = count(JobState::kDead),
            .oldest = {}};
  }

  // What the operator has no call for.
  Result<void> CheckRoom(std::uint64_t) const override { return Fail(Errc::kInternal, kNotHere); }
  aio::Task<Result<Submitted>> Submit(ContentPtr, std::optional<Callback>) override {
    co_return Fail(Errc::kInternal, kNotHere);
  }
  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind, SteadyTime) override {
    co_return Fail(Errc::kInternal, kNotHere);
  }
  aio::Task<Result<void>> Renew(Lease) override { co_return Fail(Errc::kInternal, kNotHere); }
  aio::Task<Result<void>> Finish(Lease, VerdictPtr, JobState) override { co_return Fail(Errc::kInternal, kNotHere); }
  aio::Task<Result<void>> Retry(Lease, milliseconds, std::string) override {
    co_return Fail(Errc::kInternal, kNotHere);
  }
  aio::Task<Result<void>> Release(Lease) override { co_return Fail(Errc::kInternal, kNotHere); }

  // A job of SampleDigest(number), submitted `number` seconds after the clock of all tests began.
  Job& Add(std::size_t number, JobState state) {
    const WallTime submitted = clock.Now() + seconds(number);
    Job& job = jobs.insert_or_assign(SampleDigest(number), Make(SampleDigest(number), state, submitted)).first->second;
    if (job.IsFinished()) job.finished_at = submitted + milliseconds(1500);
    if (state == JobState::kDone) {
      job.verdict = SampleInfected(clock);
      job.has_content = false;
    }
    if (state == JobState::kDead) {
      job.verdict = SampleUnscannable(clock, Reason::kEngineCrashed);
      job.attempts = 3;
      job.note = "the scanner crashed";
    }
    return job;
  }

  std::map<Digest, Job> jobs;
  std::optional<Error> failure;
  FakeClock clock;

 private:
  static constexpr const char* kNotHere = "not in this queue";

  static Job Make(Digest id, JobState state, WallTime submitted) {
    return {.id = id,
            .state = state,
            .size = 68,
            .submitted_at = submitted,
            .attempts = 0,
            .lost = 0,
            .note = {},
            .has_content = true,
            .finished_at = {},
            .verdict = nullptr};
  }
};

}  // namespace lazaret::http
