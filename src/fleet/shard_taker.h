#pragma once

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "aio/handoff.h"
#include "aio/run_in.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/result.h"
#include "fleet/shard_watch.h"

namespace lazaret::fleet {

// Takes items from whichever shard has the oldest, for any number of tasks, which may be cancelled at any time: what
// was taken for one that has gone is destroyed, and T gives itself back then.
template <class T, class Wish>
class ShardTaker {
 public:
  using Taken = Result<std::optional<T>>;
  // What the shard has for this wish at once, or nothing. It is never cancelled but at the end.
  using Try = std::function<aio::Task<Taken>(std::uint32_t shard, Wish wish)>;

  // `watch` works on the executor of `tasks`. The references must outlive it; it outlives its tasks.
  ShardTaker(aio::TaskGroup& tasks, ShardWatch& watch, const Clock& clock, Try attempt)
      : tasks_(tasks), watch_(watch), clock_(clock), try_(std::move(attempt)) {}

  // Tries at once, then until `until` on the clock. Any executor.
  aio::Task<Taken> Take(Lanes lanes, Wish wish, SteadyTime until) {
    return aio::RunIn(tasks_, TakeHere(lanes, wish, until));
  }

 private:
  using Handoff = aio::Handoff<Taken>;

  aio::Task<Taken> TakeHere(Lanes lanes, Wish wish, SteadyTime until) {
    const SteadyTime now = clock_.SteadyNow();
    const bool once = until <= now;
    // So that no sum of times overflows.
    const auto left = once ? SteadyTime::duration::zero() : std::min<SteadyTime::duration>(until - now, kLongest);
    const SteadyTime deadline = std::chrono::steady_clock::now() + left;
    ShardWatch::Seeker seeker(watch_, lanes, once);
    std::optional<Error> failure;
    for (;;) {
      if (const auto shard = seeker.Next()) {
        auto taken = co_await TryOne(*shard, wish);
        if (taken && !*taken) continue;
        if (taken || taken.error().code == Errc::kCancelled) co_return taken;
        failure = std::move(taken.error());
        continue;
      }
      if (once) {
        if (failure) co_return std::unexpected(*std::move(failure));
        co_return std::nullopt;
      }
      // Only after a try of its own: whoever comes again at once waits until the shards have rested.
      if (failure && watch_.failure()) co_return std::unexpected(*std::move(failure));
      if (std::chrono::steady_clock::now() >= deadline) co_return std::nullopt;
      co_await seeker.Wait(deadline);
      const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
      if (cancellation.cancelled() != boost::asio::cancellation_type::none) {
        co_return Fail(Errc::kCancelled, "cancelled while waiting for the job queue");
      }
    }
  }

  aio::Task<Taken> TryOne(std::uint32_t shard, Wish wish) {
    const auto handoff = std::make_shared<Handoff>();
    if (!tasks_.Spawn(Run(shard, wish, handoff))) co_return Fail(Errc::kCancelled, "the job queue is being closed");
    auto taken = co_await handoff->Receive(SteadyTime::max());
    if (!taken) co_return Fail(Errc::kCancelled, "cancelled while something was being taken");
    co_return *std::move(taken);
  }

  aio::Task<> Run(std::uint32_t shard, Wish wish, std::shared_ptr<Handoff> handoff) {
    Taken taken = co_await try_(shard, wish);
    watch_.NoteTry(shard, taken ? std::nullopt : std::optional(taken.error()));
    handoff->Give(std::move(taken));
  }

  static constexpr std::chrono::hours kLongest{24 * 365};

  aio::TaskGroup& tasks_;
  ShardWatch& watch_;
  const Clock& clock_;
  const Try try_;
};

}  // namespace lazaret::fleet
