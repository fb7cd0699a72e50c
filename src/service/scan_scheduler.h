#pragma once

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/engine.h"
#include "service/lane_queue.h"

namespace lazaret {

struct SchedulerSettings {
  std::size_t max_waiting = 10'000;        // short scans that wait for a slot, and as many long ones; more are refused
  milliseconds max_wait{60'000};           // a scan that waited this long is given up
  std::uint64_t small_size = 1024 * 1024;  // contents up to this many bytes are expected to be short
  milliseconds short_time{250};            // a scan that runs for longer is long, whatever its size
  int patience = 8;                        // of so many short_time with a small one that is long, whoever else waits
};

// Whether somebody waits for a scan, or it was queued for later (LaneQueue).
enum class Urgency { kUrgent, kQueued };

// The bounded queue in front of the engine. One executor, but for what is marked otherwise.
class ScanScheduler {
  struct Run;

 public:
  // One scan's wish for a slot; outlives Acquire and the slot.
  struct Claim {
    std::uint64_t size = 0;  // of the content, bytes
    Urgency urgency = Urgency::kUrgent;
    std::optional<LaneQueue::Ticket> ticket = std::nullopt;    // while it waits
    std::optional<SteadyTime> since = std::nullopt;            // it waits, or waited first
    std::optional<LaneQueue::Ticket> gave_way = std::nullopt;  // it was started, with this ticket, and is to be again
  };

  // The right to run one scan; given back when it goes.
  class Slot {
   public:
    Slot(Slot&& other) noexcept : scheduler_(std::exchange(other.scheduler_, nullptr)), run_(other.run_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot();

    // Whether the scan is expected to be short.
    bool is_short() const { return run_->is_short; }
    bool gives_way() const { return run_->gives_way; }
    // To be said of a scan that ended in a verdict: how long others took tells nothing.
    void SetHasVerdict() { run_->has_verdict = true; }
    // To be awaited beside a scan that is expected to be short. When that has run for short_time it counts as long;
    // returns when it has to give way to short ones: cancel it then, give the slot back and acquire one again with the
    // same claim. Returns at once when the caller is cancelled.
    aio::Task<> ToGiveWay();

   private:
    friend class ScanScheduler;
    Slot(ScanScheduler* scheduler, std::list<Run>::iterator run) : scheduler_(scheduler), run_(run) {}
    ScanScheduler* scheduler_;
    std::list<Run>::iterator run_;
  };

  // With two slots or more, one of them is the express slot (see LaneQueue). `engine` outlives the scheduler.
  ScanScheduler(const Engine& engine, SchedulerSettings settings, const Clock& clock);

  // Waits for its turn. An urgent claim, unless it gave way, is kOverloaded when too many wait already or the turn does
  // not come in time; a queued one waits as long as it takes: whoever makes them bounds their number.
  aio::Task<Result<Slot>> Acquire(Claim& claim);
  // Somebody waits for this scan now.
  void Promote(Claim& claim);

  // Any thread: whether Acquire would refuse an urgent content of `size` bytes now, how many of those wait, for how
  // long the oldest does, when a client that is refused should come again, and how long `scans` more of them would
  // take.
  bool IsFull(std::uint64_t size) const {
    return (IsShort(size) ? short_waiting_ : long_waiting_) >= settings_.max_waiting;
  }
  std::size_t waiting() const { return short_waiting_ + long_waiting_; }
  std::size_t short_waiting() const { return short_waiting_; }
  std::size_t long_waiting() const { return long_waiting_; }
  milliseconds oldest_wait() const;
  seconds RetryAfter() const;
  seconds TimeFor(std::uint64_t scans) const;
  const SchedulerSettings& settings() const { return settings_; }

 private:
  struct Run {
    Claim* claim;
    LaneQueue::Ticket ticket;
    bool is_short;
    SteadyTime start;
    bool has_verdict = false;
    // Of one that was expected to be short and is not: to be expired when it has to give way.
    std::shared_ptr<boost::asio::steady_timer> until_giving_way = nullptr;
    bool is_overdue = false;  // it has run for longer than there is patience
    bool gives_way = false;
  };
  struct Waiter {
    std::shared_ptr<boost::asio::steady_timer> timer;
    SteadyTime since;
    Claim* claim;
  };
  bool IsShort(std::uint64_t size) const { return size <= settings_.small_size; }
  void StartWaiting();
  void Forget(LaneQueue::Ticket ticket);
  void CountAsLong(Run& run);
  void LetOneGiveWay();
  bool IsInTheWay(const Run& run) const;
  void Release(std::list<Run>::iterator run);
  void Publish();

  const SchedulerSettings settings_;
  const std::size_t ordinary_slots_;
  const Engine& engine_;
  const Clock& clock_;
  LaneQueue queue_;
  std::map<LaneQueue::Ticket, Waiter> waiters_;
  std::list<Run> runs_;    // in the order in which they started
  double long_share_ = 0;  // of the scans that were expected to be short, those that were not; the last ones count most
  std::atomic<double> mean_scan_ms_ = 50;
  std::atomic<std::size_t> short_waiting_ = 0;
  std::atomic<std::size_t> long_waiting_ = 0;
  std::atomic<SteadyTime::rep> oldest_since_ = 0;  // 0: nobody waits
  std::atomic<std::int64_t> retry_after_s_ = 1;
};

}  // namespace lazaret
