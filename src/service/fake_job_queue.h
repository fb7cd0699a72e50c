#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aio/deadline.h"
#include "core/job_queue.h"
#include "core/outbox.h"

namespace lazaret {

// A job queue in memory whose time stands still, for tests on one thread: it keeps the rules of JobQueue as far as the
// service relies on them, and fails when it is told to.
class FakeJobQueue final : public JobQueue, public Outbox {
 public:
  struct Entry {
    Job job;
    ContentPtr content;
    std::uint64_t token = 0;
    milliseconds pause{0};  // what Retry asked for
    std::vector<Callback> callbacks;
  };

  Result<void> CheckRoom(std::uint64_t) const override {
    if (failure) return std::unexpected(*failure);
    return {};
  }

  aio::Task<Result<Submitted>> Submit(ContentPtr content, std::optional<Callback> callback) override {
    if (failure) co_return std::unexpected(*failure);
    const Digest id = content->digest();
    Entry& entry =
        entries.try_emplace(id, Entry{.job = MakeJob(id, *content), .content = nullptr, .callbacks = {}}).first->second;
    if (callback) entry.callbacks.push_back(*callback);
    const bool is_new = entry.content == nullptr || entry.job.IsFinished();
    if (!is_new) co_return Submitted::kAttached;
    entry.job = MakeJob(id, *content);
    entry.content = std::move(content);
    order.push_back(id);
    co_return Submitted::kQueued;
  }

  aio::Task<Result<Submitted>> SubmitUrgent(ContentPtr content) override {
    ++urgent_submits;
    return Submit(std::move(content), std::nullopt);
  }

  aio::Task<Result<std::optional<Job>>> Find(Digest id) override {
    ++finds;
    if (failure) co_return std::unexpected(*failure);
    const auto entry = entries.find(id);
    if (entry == entries.end()) co_return std::nullopt;
    co_return entry->second.job;
  }

  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind kind, SteadyTime until) override {
    for (;;) {
      if (failure) co_return std::unexpected(*failure);
      for (auto at = order.begin(); at != order.end(); ++at) {
        Entry& entry = entries.at(*at);
        if (kind == JobKind::kSmall && entry.job.size > small_size) continue;
        order.erase(at);
        entry.job.state = JobState::kLeased;
        entry.token = next_token++;
        Result<ContentPtr> content = entry.content;
        if (damaged.contains(entry.job.id)) content = Fail(Errc::kCorrupt, "the content is damaged");
        co_return LeasedJob{{entry.job.id, entry.token}, entry.job.size, entry.job.attempts, entry.job.lost, content};
      }
      if (std::chrono::steady_clock::now() >= until) co_return std::nullopt;
      boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor, milliseconds(1));
      co_await pause.async_wait(boost::asio::use_awaitable);
    }
  }

  aio::Task<Result<void>> Renew(Lease lease) override {
    ++renewals;
    co_return Change(lease, [](Entry&) {});
  }
  aio::Task<Result<void>> Finish(Lease lease, VerdictPtr verdict, JobState end) override {
    co_return Change(lease, [&](Entry& entry) {
      entry.job.state = end;
      entry.job.verdict = verdict;
      if (end == JobState::kDead) ++entry.job.attempts;
      entry.job.finished_at = WallTime{};
      entry.token = 0;
      if (end == JobState::kDone) entry.content = nullptr;
    });
  }
  aio::Task<Result<void>> Retry(Lease lease, milliseconds pause, std::string why) override {
    co_return Change(lease, [&](Entry& entry) {
      entry.job.state = JobState::kQueued;
      ++entry.job.attempts;
      entry.job.note = why;
      entry.pause = pause;
      entry.token = 0;
      order.push_back(entry.job.id);
    });
  }
  aio::Task<Result<void>> Release(Lease lease) override {
    co_return Change(lease, [&](Entry& entry) {
      entry.job.state = JobState::kQueued;
      entry.token = 0;
      order.push_front(entry.job.id);
      ++releases;
    });
  }

  JobCounts Counts() const override { return counts; }
  aio::Task<Result<std::vector<Job>>> List(JobFilter) override { co_return std::vector<Job>(); }
  aio::Task<Result<void>> Revive(Digest) override { co_return Fail(Errc::kNotFound, "not here"); }
  aio::Task<Result<void>> Drop(Digest) override { co_return Fail(Errc::kNotFound, "not here"); }

  aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) override {
    if (failure) co_return std::unexpected(*failure);
    added.push_back({0, "msg", id, std::move(callback), std::move(verdict), 0});
    co_return Result<void>();
  }
  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds, SteadyTime) override { co_return std::nullopt; }
  aio::Task<Result<void>> Close(std::uint64_t) override { co_return Result<void>(); }
  aio::Task<Result<void>> Postpone(std::uint64_t, milliseconds) override { co_return Result<void>(); }
  aio::Task<Result<void>> Return(std::uint64_t, milliseconds) override { co_return Result<void>(); }
  std::uint64_t waiting() const override { return added.size(); }

  // As if another worker had taken the job.
  void LoseLease(const Digest& id) { entries.at(id).token = 0; }

  std::map<Digest, Entry> entries;
  std::deque<Digest> order;
  std::set<Digest> damaged;
  std::vector<Delivery> added;
  std::optional<Error> failure;        // of everything
  std::optional<Error> write_failure;  // of what a lease is for
  JobCounts counts;
  std::uint64_t small_size = 100;
  std::uint64_t next_token = 1;
  int urgent_submits = 0;
  int finds = 0;
  int renewals = 0;
  int releases = 0;

 private:
  static Job MakeJob(const Digest& id, const Content& content) {
    return {.id = id,
            .state = JobState::kQueued,
            .size = content.size(),
            .submitted_at = WallTime{},
            .attempts = 0,
            .lost = 0,
            .note = {},
            .has_content = true,
            .finished_at = {},
            .verdict = nullptr};
  }
  template <class What>
  Result<void> Change(const Lease& lease, What what) {
    if (write_failure) return std::unexpected(*write_failure);
    const auto entry = entries.find(lease.id);
    if (entry == entries.end() || entry->second.token != lease.token) return Fail(Errc::kNotFound, "lease lost");
    what(entry->second);
    return {};
  }
};

}  // namespace lazaret
