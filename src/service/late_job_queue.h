#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/job_queue.h"
#include "core/outbox.h"

namespace lazaret {

// Stands for a job queue that may come late: until it has arrived every call says why it is not there, and everything
// else goes on without it. Thread-safe.
class LateJobQueue final : public JobQueue, public Outbox {
 public:
  LateJobQueue() = default;

  // Why it is not there, for clients and operators; before it arrives.
  void Excuse(Error why) {
    std::lock_guard lock(mutex_);
    why_ = std::move(why);
  }
  // From now on it is this one, which must outlive the callers. Once.
  void Arrive(JobQueue& queue, Outbox& outbox) {
    outbox_ = &outbox;
    queue_ = &queue;
  }
  bool has_arrived() const { return queue_ != nullptr; }

  Result<void> CheckRoom(std::uint64_t size) const override {
    const JobQueue* const queue = queue_;
    return queue != nullptr ? queue->CheckRoom(size) : Result<void>(std::unexpected(why()));
  }
  aio::Task<Result<Submitted>> Submit(ContentPtr content, std::optional<Callback> callback) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Submit(std::move(content), std::move(callback)) : Refuse<Submitted>(why());
  }
  aio::Task<Result<Submitted>> SubmitUrgent(ContentPtr content) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->SubmitUrgent(std::move(content)) : Refuse<Submitted>(why());
  }
  aio::Task<Result<std::optional<Job>>> Find(Digest id) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Find(id) : Refuse<std::optional<Job>>(why());
  }
  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind kind, SteadyTime until) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Take(kind, until) : Refuse<std::optional<LeasedJob>>(why());
  }
  aio::Task<Result<void>> Renew(Lease lease) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Renew(lease) : Refuse<void>(why());
  }
  aio::Task<Result<void>> Finish(Lease lease, VerdictPtr verdict, JobState end) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Finish(lease, std::move(verdict), end) : Refuse<void>(why());
  }
  aio::Task<Result<void>> Retry(Lease lease, milliseconds pause, std::string reason) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Retry(lease, pause, std::move(reason)) : Refuse<void>(why());
  }
  aio::Task<Result<void>> Release(Lease lease) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Release(lease) : Refuse<void>(why());
  }
  JobCounts Counts() const override {
    const JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Counts() : JobCounts{};
  }
  aio::Task<Result<std::vector<Job>>> List(JobFilter filter) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->List(filter) : Refuse<std::vector<Job>>(why());
  }
  aio::Task<Result<void>> Revive(Digest id) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Revive(id) : Refuse<void>(why());
  }
  aio::Task<Result<void>> Drop(Digest id) override {
    JobQueue* const queue = queue_;
    return queue != nullptr ? queue->Drop(id) : Refuse<void>(why());
  }

  aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) override {
    Outbox* const outbox = outbox_;
    return outbox != nullptr ? outbox->Add(id, std::move(verdict), std::move(callback)) : Refuse<void>(why());
  }
  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds lease, SteadyTime until) override {
    Outbox* const outbox = outbox_;
    return outbox != nullptr ? outbox->TakeDue(lease, until) : Refuse<std::optional<Delivery>>(why());
  }
  aio::Task<Result<void>> Close(std::uint64_t number) override {
    Outbox* const outbox = outbox_;
    return outbox != nullptr ? outbox->Close(number) : Refuse<void>(why());
  }
  aio::Task<Result<void>> Postpone(std::uint64_t number, milliseconds pause) override {
    Outbox* const outbox = outbox_;
    return outbox != nullptr ? outbox->Postpone(number, pause) : Refuse<void>(why());
  }
  aio::Task<Result<void>> Return(std::uint64_t number, milliseconds pause) override {
    Outbox* const outbox = outbox_;
    return outbox != nullptr ? outbox->Return(number, pause) : Refuse<void>(why());
  }
  std::uint64_t waiting() const override {
    const Outbox* const outbox = outbox_;
    return outbox != nullptr ? outbox->waiting() : 0;
  }

 private:
  Error why() const {
    std::lock_guard lock(mutex_);
    return why_;
  }
  template <class T>
  static aio::Task<Result<T>> Refuse(Error why) {
    co_return std::unexpected(std::move(why));
  }

  std::atomic<JobQueue*> queue_ = nullptr;
  std::atomic<Outbox*> outbox_ = nullptr;
  mutable std::mutex mutex_;
  Error why_{Errc::kUnavailable, "the job queue is being opened"};
};

}  // namespace lazaret
