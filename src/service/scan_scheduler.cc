#include "service/scan_scheduler.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "aio/deadline.h"

namespace lazaret {
namespace asio = boost::asio;

namespace {

// Of the last scan in a mean.
constexpr double kWeight = 0.05;

}  // namespace

ScanScheduler::ScanScheduler(const Engine& engine, SchedulerSettings settings, const Clock& clock)
    : settings_(settings),
      ordinary_slots_(engine.Slots() > 1 ? engine.Slots() - 1 : 1),
      engine_(engine),
      clock_(clock),
      queue_(ordinary_slots_, engine.Slots() > 1 ? 1 : 0) {}

ScanScheduler::Slot::~Slot() {
  if (scheduler_ != nullptr) scheduler_->Release(run_);
}

aio::Task<> ScanScheduler::Slot::ToGiveWay() {
  const SchedulerSettings& settings = scheduler_->settings_;
  const auto state = co_await asio::this_coro::cancellation_state;
  do {
    co_await aio::SleepUntil(scheduler_->clock_.SteadyNow() + settings.short_time);
    if (state.cancelled() != asio::cancellation_type::none) co_return;
  } while (scheduler_->engine_.IsPaused());
  const auto until = std::make_shared<asio::steady_timer>(
      co_await asio::this_coro::executor,
      scheduler_->clock_.SteadyNow() + settings.short_time * (settings.patience - 1));
  run_->until_giving_way = until;
  scheduler_->CountAsLong(*run_);
  co_await until->async_wait(asio::as_tuple(asio::use_awaitable));
  if (run_->gives_way || state.cancelled() != asio::cancellation_type::none) co_return;
  run_->is_overdue = true;
  until->expires_at(SteadyTime::max());
  scheduler_->StartWaiting();
  co_await until->async_wait(asio::as_tuple(asio::use_awaitable));
}

aio::Task<Result<ScanScheduler::Slot>> ScanScheduler::Acquire(Claim& claim) {
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
  }
  const bool is_urgent = claim.urgency == Urgency::kUrgent;
  const bool is_bounded = is_urgent && !claim.gave_way;
  if (is_bounded && IsFull(claim.size)) {
    co_return Fail(Errc::kOverloaded, fmt::format("{} scans are waiting already (queue.max_waiting)", waiting()));
  }
  const bool is_short = IsShort(claim.size) && !claim.gave_way;
  const SteadyTime now = clock_.SteadyNow();
  if (!claim.since) claim.since = now;
  const auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                          is_bounded ? now + settings_.max_wait : SteadyTime::max());
  const LaneQueue::Ticket ticket = claim.gave_way ? *claim.gave_way : queue_.Add(is_short, is_urgent, claim.size);
  if (claim.gave_way) queue_.AddAgain(ticket, is_urgent);
  claim.ticket = ticket;
  waiters_.emplace(ticket, Waiter{timer, *claim.since, &claim});
  StartWaiting();
  if (waiters_.contains(ticket)) co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));

  if (waiters_.contains(ticket)) {
    Forget(ticket);
    co_return Fail(Errc::kOverloaded, fmt::format("no scanner became free within {} s (queue.max_wait)",
                                                  settings_.max_wait.count() / 1000));
  }
  // From here on the slot gives itself back, also when the caller was cancelled meanwhile.
  runs_.push_back({.claim = &claim, .ticket = ticket, .is_short = is_short, .start = clock_.SteadyNow()});
  co_return Slot(this, std::prev(runs_.end()));
}

void ScanScheduler::Promote(Claim& claim) {
  claim.urgency = Urgency::kUrgent;
  if (!claim.ticket) return;
  queue_.Promote(*claim.ticket);
  StartWaiting();
}

void ScanScheduler::StartWaiting() {
  while (const auto ticket = queue_.StartNext()) {
    const auto waiter = waiters_.find(*ticket);
    waiter->second.timer->expires_at(SteadyTime::min());
    Claim& claim = *waiter->second.claim;
    claim.ticket.reset();
    waiters_.erase(waiter);
  }
  if (engine_.EndsCancelledScans()) LetOneGiveWay();
  Publish();
}

void ScanScheduler::CountAsLong(Run& run) {
  queue_.Demote(run.ticket);
  run.is_short = false;
  long_share_ += (1 - long_share_) * kWeight;
  StartWaiting();
}

// Whether something waits for it that is likely to be quicker: nothing is gained when one slow scan makes room for
// another. But who sends slow ones decides how many of them there are, so that this holds up nobody for long.
bool ScanScheduler::IsInTheWay(const Run& run) const {
  if (run.until_giving_way == nullptr) return false;
  const auto waiting = queue_.SmallestHeldUp(run.claim->urgency == Urgency::kUrgent);
  return waiting && (run.is_overdue || long_share_ < 0.5 || *waiting <= run.claim->size / 4);
}

// The youngest, which has the least to lose; one at a time, since there is one express slot.
void ScanScheduler::LetOneGiveWay() {
  if (std::ranges::any_of(runs_, &Run::gives_way)) return;
  const auto run = std::ranges::find_if(runs_.rbegin(), runs_.rend(), [this](const Run& r) { return IsInTheWay(r); });
  if (run == runs_.rend()) return;
  run->gives_way = true;
  run->claim->gave_way = run->ticket;
  run->until_giving_way->expires_at(SteadyTime::min());
}

void ScanScheduler::Forget(LaneQueue::Ticket ticket) {
  queue_.Remove(ticket);
  const auto waiter = waiters_.find(ticket);
  waiter->second.claim->ticket.reset();
  waiters_.erase(waiter);
  Publish();
}

void ScanScheduler::Release(std::list<Run>::iterator run) {
  if (run->has_verdict) {
    const double took = std::chrono::duration<double, std::milli>(clock_.SteadyNow() - run->start).count();
    mean_scan_ms_ = mean_scan_ms_ + (took - mean_scan_ms_) * kWeight;
  }
  if (run->is_short && run->has_verdict) long_share_ -= long_share_ * kWeight;
  queue_.Done(run->ticket);
  runs_.erase(run);
  StartWaiting();
}

void ScanScheduler::Publish() {
  short_waiting_ = queue_.waiting(true);
  long_waiting_ = queue_.waiting(false);
  const auto is_urgent = [](const auto& entry) { return entry.second.claim->urgency == Urgency::kUrgent; };
  const auto oldest = std::ranges::find_if(waiters_, is_urgent);
  oldest_since_ = oldest == waiters_.end() ? 0 : oldest->second.since.time_since_epoch().count();
  retry_after_s_ = TimeFor(waiting()).count();
}

milliseconds ScanScheduler::oldest_wait() const {
  const SteadyTime::rep since = oldest_since_;
  if (since == 0) return milliseconds(0);
  return std::chrono::floor<milliseconds>(clock_.SteadyNow().time_since_epoch() - SteadyTime::duration(since));
}

seconds ScanScheduler::RetryAfter() const { return seconds(retry_after_s_); }

seconds ScanScheduler::TimeFor(std::uint64_t scans) const {
  const double time_s = mean_scan_ms_ * static_cast<double>(scans) / static_cast<double>(ordinary_slots_) / 1000;
  return seconds(static_cast<std::int64_t>(std::clamp(time_s + 1, 1.0, 60.0)));
}

}  // namespace lazaret
