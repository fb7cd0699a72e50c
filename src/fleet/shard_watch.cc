#include "fleet/shard_watch.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace lazaret::fleet {
namespace {

namespace asio = boost::asio;

constexpr milliseconds kRest{500};
constexpr milliseconds kDeaf{1000};
constexpr std::uint64_t kLast = ~std::uint64_t{0};

SteadyTime RealNow() { return std::chrono::steady_clock::now(); }

}  // namespace

ShardWatch::ShardWatch(Parts parts) : parts_(std::move(parts)), shards_(parts_.settings.shards) {
  for (std::uint32_t i = 0; i < shards_.size(); ++i) {
    shards_[i].tail = std::make_unique<StreamTail>(
        parts_.client, parts_.tasks, parts_.streams(i), parts_.settings.watch, parts_.settings.timeout,
        [this, i](Result<std::vector<StreamEntry>> news) { OnNews(i, std::move(news)); });
  }
}

ShardWatch::~ShardWatch() = default;

ShardWatch::Seeker::Seeker(ShardWatch& watch, Lanes lanes, bool once)
    : watch_(watch), lanes_(lanes), once_(once), tried_(watch.shards_.size()) {}

ShardWatch::Seeker::~Seeker() {
  if (timer_ != nullptr) std::erase(watch_.seekers_, this);
  // What is left, or what woke this one in vain, is for the next.
  for (Seeker* other : watch_.seekers_) {
    if (other->woken_ || !watch_.HasNewsFor(other->lanes_)) continue;
    watch_.Wake(1, other->lanes_);
    break;
  }
}

std::optional<std::uint32_t> ShardWatch::Seeker::Next() {
  std::optional<std::uint32_t> best;
  std::uint64_t best_age = kLast;
  for (std::uint32_t i = 0; i < watch_.shards_.size(); ++i) {
    const Shard& shard = watch_.shards_[i];
    if (once_ ? tried_[i] : shard.rest_until > RealNow()) continue;
    auto age = watch_.AgeOf(i, lanes_);
    // A shard that nobody watches may hold what nobody has heard of.
    if (!age && !tried_[i] && (once_ || !shard.tail->is_watching())) age = kLast - 1;
    if (!age || *age >= best_age) continue;
    best = i;
    best_age = *age;
  }
  if (!best) return best;
  tried_[*best] = true;
  watch_.shards_[*best].look = false;
  return best;
}

aio::Task<> ShardWatch::Seeker::Wait(SteadyTime deadline) {
  const SteadyTime until = std::min(deadline, watch_.Watch());
  timer_ = std::make_unique<asio::steady_timer>(co_await asio::this_coro::executor, until);
  woken_ = false;
  watch_.seekers_.push_back(this);
  const struct Leave {
    Seeker& seeker;
    ~Leave() {
      std::erase(seeker.watch_.seekers_, &seeker);
      seeker.timer_.reset();
    }
  } leave{*this};
  co_await timer_->async_wait(asio::as_tuple(asio::use_awaitable));
}

std::optional<std::uint64_t> ShardWatch::AgeOf(std::uint32_t shard, Lanes lanes) const {
  const auto outlook = parts_.outlook(shard);
  if (shards_[shard].look || !outlook) return 0;
  if (outlook->due && *outlook->due <= parts_.clock.SteadyNow()) return 0;
  std::optional<std::uint64_t> age;
  for (std::size_t lane = 0; lane < outlook->heads.size(); ++lane) {
    const std::uint64_t head = outlook->heads[lane];
    if (head != 0 && ((lanes >> lane) & 1) != 0 && (!age || head < *age)) age = head;
  }
  return age;
}

bool ShardWatch::HasNewsFor(Lanes lanes) const {
  for (std::uint32_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].rest_until <= RealNow() && AgeOf(i, lanes)) return true;
  }
  return false;
}

void ShardWatch::NoteTry(std::uint32_t shard, const std::optional<Error>& failure) {
  Shard& tried = shards_[shard];
  tried.failure = failure;
  tried.rest_until = failure ? RealNow() + kRest : SteadyTime::min();
  if (failure) tried.look = true;
}

std::optional<Error> ShardWatch::failure() const {
  for (const Shard& shard : shards_) {
    if (!shard.failure || shard.rest_until <= RealNow()) return std::nullopt;
  }
  return shards_.front().failure;
}

SteadyTime ShardWatch::OnRealClock(SteadyTime time) const {
  const auto left = time - parts_.clock.SteadyNow();
  return RealNow() + std::max(left, SteadyTime::duration::zero());
}

SteadyTime ShardWatch::Watch() {
  SteadyTime again = SteadyTime::max();
  for (std::uint32_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    const auto outlook = parts_.outlook(i);
    if (shard.rest_until > RealNow() || !outlook) {
      again = std::min(again, std::max(shard.rest_until, RealNow() + kRest));
      continue;
    }
    // Redis rounds its times down: a moment later it is surely due.
    if (outlook->due) again = std::min(again, OnRealClock(*outlook->due) + milliseconds(1));
    if (shard.tail->is_watching()) continue;
    if (shard.deaf_until > RealNow()) {
      again = std::min(again, shard.deaf_until);
    } else {
      shard.tail->Watch(outlook->seq);
    }
  }
  return again;
}

void ShardWatch::OnNews(std::uint32_t shard, Result<std::vector<StreamEntry>> news) {
  Shard& one = shards_[shard];
  one.look = true;
  if (!news) {
    one.deaf_until = RealNow() + kDeaf;
    Wake(seekers_.size(), kBothLanes);
    return;
  }
  // A look in a while, whatever happens, shows what was put off elsewhere, and a Redis that has forgotten everything.
  if (news->empty()) Wake(1, kBothLanes);
  std::uint64_t position = one.tail->position();
  for (const StreamEntry& entry : *news) {
    position = std::max(position, entry.seq);
    Wake(1, parts_.lanes_of(shard, entry));
  }
  // Those that go on waiting rely on it.
  if (!std::ranges::all_of(seekers_, &Seeker::woken_)) one.tail->Watch(position);
}

void ShardWatch::Wake(std::size_t count, Lanes lanes) {
  for (Seeker* seeker : seekers_) {
    if (count == 0) return;
    if (seeker->woken_ || (seeker->lanes_ & lanes) == 0) continue;
    seeker->woken_ = true;
    seeker->timer_->cancel();
    --count;
  }
}

}  // namespace lazaret::fleet
