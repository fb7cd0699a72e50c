#include "fleet/shard_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fleet/job_errors.h"
#include "redis/error_reply.h"

namespace lazaret::fleet {
namespace {

// So that no sum of times overflows.
constexpr milliseconds kLongest = std::chrono::years(1000);

std::string Share(std::uint64_t all, std::uint32_t shards) {
  return std::to_string(all / shards + (all % shards != 0));
}

Result<ShardAnswer> ForCallers(Result<ShardAnswer> answer) {
  if (!answer) answer = std::unexpected(JobErrorOf(std::move(answer.error())));
  return answer;
}

}  // namespace

ShardCalls::ShardCalls(const RedisQueueSettings& settings, redis::Client& client, ShardBoard& board, OnGone on_gone)
    : settings_(settings), client_(client), board_(board), on_gone_(std::move(on_gone)) {
  for (std::uint32_t shard = 0; shard < settings.shards; ++shard) keys_.emplace_back(shard);
  const JobPolicy& policy = settings.policy;
  common_ = {std::to_string(std::min(policy.keep_done, kLongest).count()),
             std::to_string(std::min(policy.keep_dead, kLongest).count()), Share(policy.max_done, settings.shards),
             Share(policy.max_dead, settings.shards), Share(policy.max_dead_bytes, settings.shards)};
}

std::vector<std::string> ShardCalls::Arguments(std::vector<std::string> arguments) const {
  std::vector<std::string> all = common_;
  all.push_back(std::to_string(board_.seq()));
  std::ranges::move(arguments, std::back_inserter(all));
  return all;
}

Result<ShardAnswer> ShardCalls::Understand(std::uint32_t shard, Result<redis::Reply> reply) {
  auto answer = reply ? ParseAnswer(*std::move(reply)) : Result<ShardAnswer>(std::unexpected(std::move(reply.error())));
  if (!answer) {
    if (answer.error().code != Errc::kCancelled) board_.NoteFailure(shard, JobErrorOf(answer.error()));
    return answer;
  }
  board_.Note(shard, answer->figures);
  if (!answer->gone.empty() && on_gone_) on_gone_(std::move(answer->gone));
  return answer;
}

aio::Task<Result<ShardAnswer>> ShardCalls::Run(std::uint32_t shard, const redis::Script& script,
                                               std::vector<std::string> arguments) {
  auto reply = co_await client_.Eval(script, keys_[shard].all(), Arguments(std::move(arguments)),
                                     {.deadline = Deadline(), .repeat = redis::Repeat::kAllowed});
  co_return ForCallers(Understand(shard, std::move(reply)));
}

aio::Task<Result<ShardAnswer>> ShardCalls::RunOnce(std::uint32_t shard, const redis::Script& script,
                                                   std::vector<std::string> arguments) {
  auto reply =
      co_await client_.Eval(script, keys_[shard].all(), Arguments(std::move(arguments)), {.deadline = Deadline()});
  co_return Understand(shard, std::move(reply));
}

aio::Task<Result<ShardAnswer>> ShardCalls::RunDurably(std::uint32_t shard, const redis::Script& script,
                                                      std::vector<std::string> arguments) {
  if (settings_.wait_replicas == 0) co_return co_await Run(shard, script, std::move(arguments));
  auto reply = co_await WaitForReplicas(shard, script, Arguments(std::move(arguments)));
  co_return ForCallers(Understand(shard, std::move(reply)));
}

aio::Task<Result<redis::Reply>> ShardCalls::WaitForReplicas(std::uint32_t shard, const redis::Script& script,
                                                            std::vector<std::string> arguments) {
  const std::vector<std::string>& keys = keys_[shard].all();
  const SteadyTime deadline = Deadline() + settings_.wait_timeout;
  bool by_name = true;
  for (;;) {
    std::vector<redis::Command> commands;
    commands.push_back(by_name ? script.ByName(keys, arguments) : script.Whole(keys, arguments));
    commands.push_back(redis::Command::Of("WAIT", settings_.wait_replicas, settings_.wait_timeout.count()));
    auto replies = co_await client_.CallAllBlocking(keys.front(), std::move(commands), deadline);
    if (!replies[0] && by_name && redis::HasErrorWord(replies[0].error(), "NOSCRIPT")) {
      by_name = false;
      continue;
    }
    if (!replies[0]) co_return std::move(replies[0]);
    if (!replies[1]) co_return std::move(replies[1]);
    if (replies[1]->integer() >= settings_.wait_replicas) co_return std::move(replies[0]);
    co_return Fail(
        Errc::kUnavailable,
        fmt::format("only {} of {} replicas have the job after {} ms (redis.wait_replicas): it may be kept or "
                    "not",
                    replies[1]->integer(), settings_.wait_replicas, settings_.wait_timeout.count()));
  }
}

aio::Task<Result<redis::Reply>> ShardCalls::RunBare(const redis::Script& script, std::string key,
                                                    std::vector<std::string> arguments) {
  std::vector<std::string> keys(1, std::move(key));
  auto reply = co_await client_.Eval(script, std::move(keys), std::move(arguments),
                                     {.deadline = Deadline(), .repeat = redis::Repeat::kAllowed});
  if (!reply) co_return std::unexpected(JobErrorOf(std::move(reply.error())));
  co_return reply;
}

}  // namespace lazaret::fleet
