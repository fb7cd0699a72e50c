#include "fleet/finished_feed.h"

#include <boost/asio/post.hpp>

#include <optional>
#include <utility>

#include "aio/deadline.h"
#include "fleet/job_errors.h"
#include "fleet/stream_tail.h"

namespace lazaret::fleet {
namespace {

constexpr milliseconds kPause{200};

}  // namespace

FinishedFeed::Watch::Watch(FinishedFeed& feed, const Digest& id) : feed_(feed), id_(id) {
  const std::uint32_t number = feed_.calls_.ShardOf(id_);
  {
    std::lock_guard lock(feed_.mutex_);
    Shard& shard = feed_.shards_[number];
    ++shard.watched[id_];
    if (std::exchange(shard.followed, true)) return;
  }
  boost::asio::post(feed_.tasks_.executor(), [&all = feed_, number] { all.tasks_.Spawn(all.Follow(number)); });
}

FinishedFeed::Watch::~Watch() {
  std::lock_guard lock(feed_.mutex_);
  auto& watched = feed_.shards_[feed_.calls_.ShardOf(id_)].watched;
  const auto found = watched.find(id_);
  if (--found->second == 0) watched.erase(found);
}

FinishedFeed::FinishedFeed(ShardCalls& calls, aio::TaskGroup& tasks)
    : calls_(calls), tasks_(tasks), shards_(calls.settings().shards) {}

bool FinishedFeed::GoesOn(std::uint32_t shard) {
  std::lock_guard lock(mutex_);
  shards_[shard].followed = !shards_[shard].watched.empty();
  return shards_[shard].followed;
}

void FinishedFeed::Announce(const Digest& id) {
  {
    std::lock_guard lock(mutex_);
    if (!shards_[calls_.ShardOf(id)].watched.contains(id)) return;
  }
  if (on_news_) on_news_(id);
}

void FinishedFeed::AnnounceAll(std::uint32_t shard) {
  std::vector<Digest> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, count] : shards_[shard].watched) all.push_back(id);
  }
  for (const Digest& id : all) Announce(id);
}

aio::Task<Result<std::uint64_t>> FinishedFeed::Position(std::uint32_t shard) {
  const ShardKeys& keys = calls_.keys(shard);
  redis::Command last{"HGET", keys.stat(), "seq"};
  const redis::Client::Options options{.deadline = calls_.Deadline(), .repeat = redis::Repeat::kAllowed};
  auto reply = co_await calls_.client().Call(keys.stat(), std::move(last), options);
  if (!reply) co_return std::unexpected(std::move(reply.error()));
  // Nothing has ever been in this shard, or it has been forgotten: numbers are about the time in microseconds.
  if (reply->IsNil()) co_return 0;
  co_return std::strtoull(reply->text().c_str(), nullptr, 10);
}

aio::Task<> FinishedFeed::Follow(std::uint32_t shard) {
  const RedisQueueSettings& settings = calls_.settings();
  std::vector<std::string> streams(1, calls_.keys(shard).finished());
  std::optional<std::uint64_t> position;
  while (GoesOn(shard)) {
    if (!position) {
      const auto last = co_await Position(shard);
      if (!last) {
        co_await aio::SleepUntil(std::chrono::steady_clock::now() + kPause);
        continue;
      }
      position = *last;
      // Whatever has finished up to here went unheard.
      AnnounceAll(shard);
    }
    const auto news = co_await ReadStreams(calls_.client(), streams, *position, settings.watch, settings.timeout);
    if (!news) {
      position.reset();
      co_await aio::SleepUntil(std::chrono::steady_clock::now() + kPause);
      continue;
    }
    for (const StreamEntry& entry : *news) {
      position = entry.seq;
      if (entry.fields.size() != 2) continue;
      if (const auto id = Digest::FromHex(entry.fields[1])) Announce(*id);
    }
  }
}

}  // namespace lazaret::fleet
