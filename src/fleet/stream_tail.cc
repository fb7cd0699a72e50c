#include "fleet/stream_tail.h"

#include <span>
#include <string_view>
#include <utility>

#include "fleet/job_errors.h"

namespace lazaret::fleet {

StreamTail::StreamTail(redis::Client& client, aio::TaskGroup& tasks, std::vector<std::string> streams,
                       milliseconds patience, milliseconds timeout, OnNews on_news)
    : client_(client),
      tasks_(tasks),
      streams_(std::move(streams)),
      patience_(patience),
      timeout_(timeout),
      on_news_(std::move(on_news)) {}

void StreamTail::Watch(std::uint64_t after) {
  if (watching_) return;
  position_ = after;
  watching_ = tasks_.Spawn(Read(after));
}

aio::Task<> StreamTail::Read(std::uint64_t after) {
  auto news = co_await ReadStreams(client_, streams_, after, patience_, timeout_);
  watching_ = false;
  on_news_(std::move(news));
}

aio::Task<Result<std::vector<StreamEntry>>> ReadStreams(redis::Client& client, std::vector<std::string> streams,
                                                        std::uint64_t after, milliseconds patience,
                                                        milliseconds timeout) {
  const std::string wait = std::to_string(patience.count());
  const std::string from = std::to_string(after) + "-0";
  std::vector<std::string_view> words = {"XREAD", "COUNT", "1000", "BLOCK", wait, "STREAMS"};
  words.insert(words.end(), streams.begin(), streams.end());
  words.insert(words.end(), streams.size(), from);
  const redis::Command command{std::span<const std::string_view>(words)};
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience + timeout;
  auto reply = co_await client.CallBlocking(streams.front(), command, deadline);
  if (!reply && reply.error().code == Errc::kTimeout) co_return std::vector<StreamEntry>();
  if (!reply) co_return std::unexpected(JobErrorOf(std::move(reply.error())));
  co_return ParseEntries(*std::move(reply));
}

}  // namespace lazaret::fleet
