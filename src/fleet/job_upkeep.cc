#include "fleet/job_upkeep.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "aio/deadline.h"
#include "fleet/job_errors.h"
#include "fleet/job_keys.h"
#include "redis/error_reply.h"

namespace lazaret::fleet {
namespace {

constexpr int kLayout = 1;            // of the keys, as docs/redis.md describes them
constexpr std::int64_t kRefuses = 2;  // of job_upkeep.lua
constexpr int kThorough = 600;        // rounds
constexpr std::chrono::hours kOrphanAge{24};

}  // namespace

JobUpkeep::JobUpkeep(ShardCalls& calls, JobContents& contents, Log& log)
    : calls_(calls), contents_(contents), log_(log) {}

aio::Task<Result<void>> JobUpkeep::CheckLayout() {
  const std::string ours = fmt::format("{}:{}", kLayout, calls_.settings().shards);
  std::vector<redis::Command> commands;
  commands.push_back({"SET", kShardsKey, ours, "NX"});
  commands.push_back({"GET", kShardsKey});
  const redis::Client::Options options{.deadline = calls_.Deadline(), .repeat = redis::Repeat::kAllowed};
  auto replies = co_await calls_.client().CallAll(kShardsKey, std::move(commands), options);
  if (!replies[1]) co_return std::unexpected(JobErrorOf(std::move(replies[1].error())));
  // A Redis without memory knows it, if it has been used before.
  const bool is_known = !replies[1]->IsNil() && !replies[0] && redis::HasErrorWord(replies[0].error(), "OOM");
  if (!replies[0] && !is_known) co_return std::unexpected(JobErrorOf(std::move(replies[0].error())));
  const std::string& theirs = replies[1]->text();
  if (theirs == ours) co_return Result<void>();
  const std::size_t colon = theirs.find(':');
  if (colon == theirs.npos || theirs.substr(0, colon) != std::to_string(kLayout)) {
    co_return Fail(Errc::kMalformed,
                   fmt::format("the job queue in Redis was made by another version of Lazaret (layout {}, not {}): "
                               "update all nodes, or use another database",
                               theirs.substr(0, colon), kLayout));
  }
  co_return Fail(
      Errc::kMalformed,
      fmt::format("the job queue in Redis has {} shards, and this node is configured for {}: set redis.shards "
                  "to {}, or empty the queue, stop all nodes and delete the key {}",
                  theirs.substr(colon + 1), calls_.settings().shards, theirs.substr(colon + 1), kShardsKey));
}

aio::Task<Result<void>> JobUpkeep::Care(std::uint32_t shard, bool thorough) {
  std::vector<std::string> arguments(1, thorough ? "1" : "0");
  auto answer = co_await calls_.Run(shard, calls_.scripts().upkeep, std::move(arguments));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status != kRefuses || answer->more.empty()) co_return Result<void>();
  const redis::Reply refusal = redis::Reply::MakeError(answer->more.front().text());
  Error error = JobErrorOf(redis::ErrorOf(refusal));
  calls_.board().NoteFailure(shard, error);
  co_return std::unexpected(std::move(error));
}

aio::Task<Result<void>> JobUpkeep::FirstRound() {
  Result<void> result;
  for (std::uint32_t shard = 0; result && shard < calls_.settings().shards; ++shard) {
    result = co_await Care(shard, false);
  }
  co_return result;
}

aio::Task<Result<void>> JobUpkeep::Round(bool thorough) {
  Result<void> result;
  for (std::uint32_t shard = 0; shard < calls_.settings().shards; ++shard) {
    auto done = co_await Care(shard, thorough);
    if (!done) result = std::move(done);
  }
  co_return result;
}

aio::Task<> JobUpkeep::Run() {
  for (int round = 1;; ++round) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + calls_.settings().refresh);
    const bool thorough = round % kThorough == 0;
    auto done = co_await Round(thorough);
    if (done) done = co_await CheckLayout();
    Report(done);
    if (!thorough || !done) continue;
    const auto swept = co_await contents_.Sweep(std::filesystem::file_time_type::clock::now() - kOrphanAge);
    if (!swept) {
      log_.Warning("contents of no job not deleted", {{"why", swept.error().what}});
    } else if (*swept > 0) {
      log_.Info("contents of no job deleted", {{"files", *swept}});
    }
  }
}

void JobUpkeep::Report(const Result<void>& result) {
  if (result) {
    if (std::exchange(trouble_, std::nullopt)) log_.Info("job queue in Redis works again");
  } else if (trouble_ != result.error().code) {
    trouble_ = result.error().code;
    log_.Error("job queue in Redis does not work", {{"error", result.error().what}});
  }
}

}  // namespace lazaret::fleet
