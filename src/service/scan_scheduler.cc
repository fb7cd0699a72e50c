#include "service/scan_scheduler.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace lazaret {
namespace asio = boost::asio;

ScanScheduler::ScanScheduler(std::size_t slots, SchedulerSettings settings, const Clock& clock)
    : settings_(settings),
      ordinary_slots_(slots > 1 ? slots - 1 : 1),
      clock_(clock),
      queue_(ordinary_slots_, slots > 1 ? 1 : 0) {}

ScanScheduler::Slot::~Slot() {
  if (scheduler_ != nullptr) scheduler_->Release(is_short_, started_as_, start_);
}

aio::Task<Result<ScanScheduler::Slot>> ScanScheduler::Acquire(Claim& claim) {
  const bool is_urgent = claim.urgency == Urgency::kUrgent;
  if (is_urgent && IsFull(claim.size)) {
    co_return Fail(Errc::kOverloaded, fmt::format("{} scans are waiting already (queue.max_waiting)", waiting()));
  }
  const bool is_short = IsShort(claim.size);
  const SteadyTime now = clock_.SteadyNow();
  const auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                          is_urgent ? now + settings_.max_wait : SteadyTime::max());
  const LaneQueue::Ticket ticket = queue_.Add(is_short, is_urgent);
  claim.ticket = ticket;
  waiters_.emplace(ticket, Waiter{timer, now, &claim});
  StartWaiting();
  if (waiters_.contains(ticket)) co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));

  if (waiters_.contains(ticket)) {
    Forget(ticket);
    co_return Fail(Errc::kOverloaded, fmt::format("no scanner became free within {} s (queue.max_wait)",
                                                  settings_.max_wait.count() / 1000));
  }
  // From here on the slot gives itself back, also when the caller was cancelled meanwhile.
  co_return Slot(this, is_short, claim.started_as, clock_.SteadyNow());
}

void ScanScheduler::Promote(Claim& claim) {
  claim.urgency = Urgency::kUrgent;
  if (!claim.ticket) return;
  queue_.Promote(*claim.ticket);
  Publish();
}

void ScanScheduler::StartWaiting() {
  while (const auto ticket = queue_.StartNext()) {
    const auto waiter = waiters_.find(*ticket);
    waiter->second.timer->expires_at(SteadyTime::min());
    Claim& claim = *waiter->second.claim;
    claim.ticket.reset();
    claim.started_as = claim.urgency;
    waiters_.erase(waiter);
  }
  Publish();
}

void ScanScheduler::Forget(LaneQueue::Ticket ticket) {
  queue_.Remove(ticket);
  const auto waiter = waiters_.find(ticket);
  waiter->second.claim->ticket.reset();
  waiters_.erase(waiter);
  Publish();
}

void ScanScheduler::Release(bool is_short, Urgency started_as, SteadyTime start) {
  const double took = std::chrono::duration<double, std::milli>(clock_.SteadyNow() - start).count();
  mean_scan_ms_ = mean_scan_ms_ + (took - mean_scan_ms_) * 0.05;
  queue_.Done(is_short, started_as == Urgency::kUrgent);
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
