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
  if (scheduler_ != nullptr) scheduler_->Release(is_short_, start_);
}

aio::Task<Result<ScanScheduler::Slot>> ScanScheduler::Acquire(std::uint64_t size) {
  if (IsFull(size)) {
    co_return Fail(Errc::kOverloaded, fmt::format("{} scans are waiting already (queue.max_waiting)", waiting()));
  }
  const bool is_short = IsShort(size);
  const SteadyTime now = clock_.SteadyNow();
  const auto timer =
      std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, now + settings_.max_wait);
  const LaneQueue::Ticket ticket = queue_.Add(is_short);
  waiters_.emplace(ticket, Waiter{timer, now});
  StartWaiting();
  if (waiters_.contains(ticket)) co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));

  if (waiters_.contains(ticket)) {
    Forget(ticket);
    co_return Fail(Errc::kOverloaded,
                   fmt::format("no scanner became free within {} s (queue.max_wait)", settings_.max_wait.count() / 1000));
  }
  // From here on the slot gives itself back, also when the caller was cancelled meanwhile.
  co_return Slot(this, is_short, clock_.SteadyNow());
}

void ScanScheduler::StartWaiting() {
  while (const auto ticket = queue_.StartNext()) {
    const auto waiter = waiters_.find(*ticket);
    waiter->second.timer->expires_at(SteadyTime::min());
    waiters_.erase(waiter);
  }
  Publish();
}

void ScanScheduler::Forget(LaneQueue::Ticket ticket) {
  queue_.Remove(ticket);
  waiters_.erase(ticket);
  Publish();
}

void ScanScheduler::Release(bool is_short, SteadyTime start) {
  const double took = std::chrono::duration<double, std::milli>(clock_.SteadyNow() - start).count();
  mean_scan_ms_ += (took - mean_scan_ms_) * 0.05;
  queue_.Done(is_short);
  StartWaiting();
}

void ScanScheduler::Publish() {
  short_waiting_ = queue_.waiting(true);
  long_waiting_ = queue_.waiting(false);
  oldest_since_ = waiters_.empty() ? 0 : waiters_.begin()->second.since.time_since_epoch().count();
  const double drain_s =
      mean_scan_ms_ * static_cast<double>(waiters_.size()) / static_cast<double>(ordinary_slots_) / 1000;
  retry_after_s_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(drain_s) + 1, 1, 60);
}

milliseconds ScanScheduler::oldest_wait() const {
  const SteadyTime::rep since = oldest_since_;
  if (since == 0) return milliseconds(0);
  return std::chrono::floor<milliseconds>(clock_.SteadyNow().time_since_epoch() - SteadyTime::duration(since));
}

seconds ScanScheduler::RetryAfter() const { return seconds(retry_after_s_); }

}  // namespace lazaret
