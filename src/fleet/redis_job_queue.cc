#include "fleet/redis_job_queue.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "aio/deadline.h"
#include "aio/run_in.h"
#include "base/exception.h"
#include "fleet/call_text.h"
#include "fleet/job_contents.h"
#include "fleet/job_leases.h"
#include "fleet/job_upkeep.h"
#include "fleet/redis_outbox.h"
#include "fleet/shard_board.h"
#include "fleet/shard_calls.h"

namespace lazaret::fleet {
namespace {

constexpr std::size_t kMaxListed = 10'000;
constexpr int kMaxUploads = 3;
constexpr milliseconds kLastWords{1000};

// What job_submit.lua and job_revive.lua answer.
namespace submit {
enum Status : std::int64_t {
  kQueued = 1,
  kAttached = 2,
  kNeedsContent = 3,
  kTooManyJobs = 4,
  kTooManyBytes = 5,
  kChunksMissing = 6,
  kTooManyCallbacks = 7,
  kTooManyMessages = 8,
};
}
namespace revive {
enum Status : std::int64_t { kNone = 0, kDone = 1, kNotDead = 2, kContentGone = 3 };
}

std::unexpected<Error> NoJob(const Digest& id) {
  return Fail(Errc::kNotFound, fmt::format("there is no job {}", id.Hex()));
}

Result<void> CheckSettings(const RedisQueueSettings& settings) {
  if (settings.shards == 0 || settings.shards > kMaxShards) {
    return Fail(Errc::kMalformed, fmt::format("redis.shards must be 1 to {}", kMaxShards));
  }
  if (settings.max_content > std::uint64_t{kMaxChunks} * kChunkBytes) {
    return Fail(Errc::kMalformed, fmt::format("redis.max_content must be {} bytes at most", kMaxChunks * kChunkBytes));
  }
  return {};
}

}  // namespace

struct RedisJobQueue::Impl {
  Impl(RedisQueueSettings s, std::shared_ptr<const ContentDirectory> directory, redis::Client& client,
       aio::BlockingPool& disk, aio::Executor executor, const Clock& clock, Log& l)
      : settings(std::move(s)),
        log(l),
        tasks(executor, [this](std::exception_ptr error) { Report(error); }),
        endings(executor, [this](std::exception_ptr error) { Report(error); }),
        board(settings.shards, clock),
        calls(settings, client, board, [this](Texts files) { contents.RemoveFiles(std::move(files)); }),
        contents(calls, std::move(directory), disk, endings),
        upkeep(calls, contents, log),
        finished(calls, tasks),
        leases(calls, contents, tasks, endings, clock, log),
        outbox(calls, tasks, endings, clock, log) {}

  aio::Task<Result<void>> Begin();
  Result<void> CheckRoom(std::uint64_t size) const;
  // kOverloaded for one of the refusals that submit::Status names.
  Error Refusal(std::int64_t status) const;
  // How many jobs and bytes a shard may have, given what the others have.
  Texts RoomOf(std::uint32_t shard) const;
  // One call of job_submit.lua, and all that a submit takes.
  aio::Task<Result<std::int64_t>> CallSubmit(ContentPtr content, std::string place, std::string bytes,
                                             std::string callback, bool is_urgent);
  aio::Task<Result<Submitted>> Submit(ContentPtr content, std::optional<Callback> callback, bool is_urgent);
  void Report(const std::exception_ptr& error) { log.Error("job queue failed", {{"error", WhatOf(error)}}); }

  const RedisQueueSettings settings;
  Log& log;
  aio::TaskGroup tasks;
  aio::TaskGroup endings;  // what is carried out even while the queue is being stopped
  ShardBoard board;
  ShardCalls calls;
  JobContents contents;
  JobUpkeep upkeep;
  FinishedFeed finished;
  JobLeases leases;
  RedisOutbox outbox;
};

RedisJobQueue::RedisJobQueue(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RedisJobQueue::~RedisJobQueue() = default;

aio::Task<Result<std::unique_ptr<RedisJobQueue>>> RedisJobQueue::Open(RedisQueueSettings settings,
                                                                      redis::Client& client, aio::BlockingPool& disk,
                                                                      aio::Executor executor, const Clock& clock,
                                                                      Log& log) {
  if (auto checked = CheckSettings(settings); !checked) co_return std::unexpected(std::move(checked.error()));
  std::shared_ptr<const ContentDirectory> directory;
  if (!settings.content_dir.empty()) {
    auto opened = co_await disk.Run([&] { return ContentDirectory::Open(settings.content_dir, disk); });
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    directory = *std::move(opened);
  }
  auto impl = std::make_unique<Impl>(std::move(settings), std::move(directory), client, disk, executor, clock, log);
  Impl& begun = *impl;
  std::unique_ptr<RedisJobQueue> queue(new RedisJobQueue(std::move(impl)));
  auto done = co_await aio::RunIn(begun.tasks, begun.Begin());
  if (done) co_return queue;
  // What ends there is over before it is destroyed here.
  co_await boost::asio::co_spawn(executor, queue->Stop(), boost::asio::use_awaitable);
  co_return std::unexpected(std::move(done.error()));
}

aio::Task<Result<void>> RedisJobQueue::Impl::Begin() {
  if (auto agreed = co_await upkeep.CheckLayout(); !agreed) co_return agreed;
  if (auto round = co_await upkeep.FirstRound(); !round) co_return round;
  tasks.Spawn(upkeep.Run());
  co_return Result<void>();
}

aio::Task<> RedisJobQueue::Stop() {
  impl_->tasks.Close();
  impl_->tasks.CancelAll();
  co_await impl_->tasks.Wait();
  const SteadyTime last = std::chrono::steady_clock::now() + kLastWords;
  while (impl_->endings.size() > 0 && std::chrono::steady_clock::now() < last) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(5));
  }
  impl_->endings.Close();
  impl_->endings.CancelAll();
  co_await impl_->endings.Wait();
}

Result<void> RedisJobQueue::Impl::CheckRoom(std::uint64_t size) const {
  if (auto fits = contents.CheckSize(size); !fits) return fits;
  const JobPolicy& policy = settings.policy;
  if (size > policy.max_bytes) {
    return Fail(Errc::kTooLarge,
                fmt::format("the content of {} bytes is larger than the whole job queue may be (jobs.disk_budget, {})",
                            size, policy.max_bytes));
  }
  const JobCounts counts = board.Counts();
  if (counts.queued + counts.leased >= policy.max_jobs) return std::unexpected(Refusal(submit::kTooManyJobs));
  if (counts.bytes > policy.max_bytes - size) return std::unexpected(Refusal(submit::kTooManyBytes));
  return {};
}

Result<void> RedisJobQueue::CheckRoom(std::uint64_t size) const {
  if (auto failure = impl_->board.failure()) return std::unexpected(*std::move(failure));
  return impl_->CheckRoom(size);
}

Error RedisJobQueue::Impl::Refusal(std::int64_t status) const {
  const JobPolicy& policy = settings.policy;
  switch (status) {
    case submit::kTooManyJobs:
      return {Errc::kOverloaded,
              fmt::format("the job queue is full: {} jobs wait (jobs.max_waiting)", policy.max_jobs)};
    case submit::kTooManyBytes:
      return {Errc::kOverloaded, fmt::format("the job queue is full: its contents take {} of {} bytes "
                                             "(jobs.disk_budget)",
                                             board.Counts().bytes, policy.max_bytes)};
    case submit::kChunksMissing:
      return {Errc::kUnavailable, "the content came too slowly to Redis, or was evicted there: submit it again"};
    case submit::kTooManyCallbacks:
      return {Errc::kOverloaded, fmt::format("too many callbacks wait for this scan: {}", policy.max_callbacks)};
    case submit::kTooManyMessages:
      return {Errc::kOverloaded, fmt::format("too many callbacks wait: {}", settings.max_messages)};
    default: return {Errc::kCorrupt, fmt::format("a script of the job queue answered {}", status)};
  }
}

Texts RedisJobQueue::Impl::RoomOf(std::uint32_t shard) const {
  const JobPolicy& policy = settings.policy;
  const ShardBoard::Load others = board.LoadBeside(shard);
  return {std::to_string(policy.max_jobs - std::min(others.jobs, policy.max_jobs)),
          std::to_string(policy.max_bytes - std::min(others.bytes, policy.max_bytes))};
}

aio::Task<Result<std::int64_t>> RedisJobQueue::Impl::CallSubmit(ContentPtr content, std::string place,
                                                                std::string bytes, std::string callback,
                                                                bool is_urgent) {
  const std::uint32_t shard = calls.ShardOf(content->digest());
  const std::uint64_t most_messages =
      settings.max_messages / settings.shards + (settings.max_messages % settings.shards != 0);
  Texts arguments = {content->digest().Hex(),
                     std::to_string(content->size()),
                     content->size() <= settings.policy.small_size ? "small" : "large",
                     std::move(place),
                     std::move(bytes),
                     std::move(callback),
                     std::to_string(settings.policy.max_callbacks),
                     std::to_string(most_messages)};
  std::ranges::move(RoomOf(shard), std::back_inserter(arguments));
  arguments.emplace_back(is_urgent ? "1" : "");
  auto answer = co_await calls.RunDurably(shard, calls.scripts().submit, std::move(arguments));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  co_return answer->status;
}

aio::Task<Result<Submitted>> RedisJobQueue::Submit(ContentPtr content, std::optional<Callback> callback) {
  return impl_->Submit(std::move(content), std::move(callback), false);
}

aio::Task<Result<Submitted>> RedisJobQueue::SubmitUrgent(ContentPtr content) {
  return impl_->Submit(std::move(content), std::nullopt, true);
}

aio::Task<Result<Submitted>> RedisJobQueue::Impl::Submit(ContentPtr content, std::optional<Callback> callback,
                                                         bool is_urgent) {
  const std::uint64_t size = content->size();
  if (auto fits = contents.CheckSize(size); !fits) co_return std::unexpected(std::move(fits.error()));
  if (size > settings.policy.max_bytes) co_return std::unexpected(CheckRoom(size).error());
  const std::string told = callback ? PackCallback(*callback) : std::string();
  const auto understand = [this](const Result<std::int64_t>& status) -> Result<Submitted> {
    if (!status) return std::unexpected(status.error());
    if (*status == submit::kQueued) return Submitted::kQueued;
    if (*status == submit::kAttached) return Submitted::kAttached;
    return std::unexpected(Refusal(*status));
  };
  if (contents.IsInline(size)) {
    auto bytes = co_await contents.ReadInline(content);
    if (!bytes) co_return std::unexpected(std::move(bytes.error()));
    const std::string place = ContentPlace{.kind = ContentPlace::Kind::kInline}.Text();
    const auto status = co_await CallSubmit(content, place, *std::move(bytes), told, is_urgent);
    co_return understand(status);
  }
  // Nothing is written for a job that is there already, or that there is no room for.
  auto status = co_await CallSubmit(content, "", "", told, is_urgent);
  if (!status || *status != submit::kNeedsContent) co_return understand(status);
  for (int upload = 1;; ++upload) {
    auto stored = co_await contents.Store(content);
    if (!stored) co_return std::unexpected(std::move(stored.error()));
    // Whatever becomes of this call, the job may refer to it.
    (*stored)->Keep();
    status = co_await CallSubmit(content, (*stored)->place().Text(), "", told, is_urgent);
    if (status && *status != submit::kQueued) (*stored)->Discard();
    if (!status || *status != submit::kChunksMissing || upload == kMaxUploads) co_return understand(status);
  }
}

aio::Task<Result<std::optional<Job>>> RedisJobQueue::Find(Digest id) {
  Impl& impl = *impl_;
  const JobPolicy& policy = impl.settings.policy;
  Texts arguments = {MillisecondsText(policy.keep_done), MillisecondsText(policy.keep_dead)};
  const std::string key = impl.calls.keys(impl.calls.ShardOf(id)).Job(id);
  auto reply = co_await impl.calls.RunBare(impl.calls.scripts().find, key, std::move(arguments));
  if (!reply) co_return std::unexpected(std::move(reply.error()));
  auto job = ParseJob(id, reply->elements());
  if (!job) co_return std::unexpected(std::move(job.error()));
  if (!*job) co_return std::nullopt;
  co_return std::move((*job)->job);
}

aio::Task<Result<std::optional<LeasedJob>>> RedisJobQueue::Take(JobKind kind, SteadyTime until) {
  return impl_->leases.Take(kind, until);
}
aio::Task<Result<void>> RedisJobQueue::Renew(Lease lease) { return impl_->leases.Renew(lease); }
aio::Task<Result<void>> RedisJobQueue::Finish(Lease lease, VerdictPtr verdict, JobState end) {
  return impl_->leases.Finish(lease, std::move(verdict), end);
}
aio::Task<Result<void>> RedisJobQueue::Retry(Lease lease, milliseconds pause, std::string why) {
  return impl_->leases.Retry(lease, pause, std::move(why));
}
aio::Task<Result<void>> RedisJobQueue::Release(Lease lease) { return impl_->leases.Release(lease); }

JobCounts RedisJobQueue::Counts() const { return impl_->board.Counts(); }

aio::Task<Result<std::vector<Job>>> RedisJobQueue::List(JobFilter filter) {
  Impl& impl = *impl_;
  const std::size_t limit = std::min(filter.limit, kMaxListed);
  std::vector<StoredJob> found;
  for (std::uint32_t shard = 0; shard < impl.settings.shards && limit > 0; ++shard) {
    Texts arguments = {std::to_string(filter.state ? static_cast<int>(*filter.state) : 0), std::to_string(limit)};
    auto answer = co_await impl.calls.Run(shard, impl.calls.scripts().list, std::move(arguments));
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    for (redis::Reply& line : answer->more) {
      auto job = ParseListedJob(std::move(line));
      if (job) {
        found.push_back(*std::move(job));
      } else {
        impl.log.Error("damaged job in Redis", {{"error", job.error().what}});
      }
    }
  }
  std::ranges::sort(found, std::ranges::greater(), &StoredJob::seq);
  std::vector<Job> jobs;
  for (StoredJob& job : found) {
    if (jobs.size() < limit) jobs.push_back(std::move(job.job));
  }
  co_return jobs;
}

aio::Task<Result<void>> RedisJobQueue::Revive(Digest id) {
  Impl& impl = *impl_;
  const std::uint32_t shard = impl.calls.ShardOf(id);
  Texts arguments(1, id.Hex());
  std::ranges::move(impl.RoomOf(shard), std::back_inserter(arguments));
  auto answer = co_await impl.calls.RunDurably(shard, impl.calls.scripts().revive, std::move(arguments));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  switch (answer->status) {
    case revive::kDone: co_return Result<void>();
    case revive::kNone: co_return NoJob(id);
    case revive::kNotDead: co_return Fail(Errc::kMalformed, fmt::format("job {} is no dead letter", id.Hex()));
    case revive::kContentGone:
      co_return Fail(Errc::kMalformed, fmt::format("the content of job {} is gone: submit it again", id.Hex()));
    default: co_return std::unexpected(impl.Refusal(answer->status));
  }
}

aio::Task<Result<void>> RedisJobQueue::Drop(Digest id) {
  Impl& impl = *impl_;
  auto answer = co_await impl.calls.Run(impl.calls.ShardOf(id), impl.calls.scripts().drop, Texts(1, id.Hex()));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status == 0) co_return NoJob(id);
  co_return Result<void>();
}

aio::Task<Result<void>> RedisJobQueue::Add(Digest id, VerdictPtr verdict, Callback callback) {
  return impl_->outbox.Add(id, std::move(verdict), std::move(callback));
}
aio::Task<Result<std::optional<Delivery>>> RedisJobQueue::TakeDue(milliseconds lease, SteadyTime until) {
  return impl_->outbox.TakeDue(lease, until);
}
aio::Task<Result<void>> RedisJobQueue::Close(std::uint64_t number) { return impl_->outbox.Close(number); }
aio::Task<Result<void>> RedisJobQueue::Postpone(std::uint64_t number, milliseconds pause) {
  return impl_->outbox.Postpone(number, pause);
}
aio::Task<Result<void>> RedisJobQueue::Return(std::uint64_t number, milliseconds pause) {
  return impl_->outbox.Return(number, pause);
}
std::uint64_t RedisJobQueue::waiting() const { return impl_->outbox.waiting(); }

FinishedFeed& RedisJobQueue::finished() { return impl_->finished; }

}  // namespace lazaret::fleet
