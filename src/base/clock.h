#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace lazaret {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyTime = std::chrono::steady_clock::time_point;
// Milliseconds since 1970 in UTC: what is stored and shown.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// Where time comes from, so that tests own it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  virtual SteadyTime SteadyNow() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime Now() const override {
    return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
  }
  SteadyTime SteadyNow() const override { return std::chrono::steady_clock::now(); }
};

// The steady clock as of its last tick, a few milliseconds ago at most, for a fraction of the price
// (CLOCK_MONOTONIC_COARSE, clock_gettime(2)): for deadlines of seconds.
SteadyTime CoarseSteadyNow();

// A clock for tests: stands still until Advance.
class FakeClock final : public Clock {
 public:
  WallTime Now() const override {
    std::lock_guard lock(mutex_);
    return wall_;
  }
  SteadyTime SteadyNow() const override {
    std::lock_guard lock(mutex_);
    return steady_;
  }
  void Advance(milliseconds by) {
    std::lock_guard lock(mutex_);
    wall_ += by;
    steady_ += by;
    if (follower_) follower_(wall_);
  }
  // `follower` learns the time now and after every Advance: for what has a clock of its own. Empty: nobody any more.
  void Follow(std::function<void(WallTime)> follower) const {
    std::lock_guard lock(mutex_);
    follower_ = std::move(follower);
    if (follower_) follower_(wall_);
  }

 private:
  mutable std::mutex mutex_;
  WallTime wall_{std::chrono::sys_days{std::chrono::January / 1 / 2026}};
  SteadyTime steady_{std::chrono::hours{1}};
  mutable std::function<void(WallTime)> follower_;
};

// RFC 3339 in UTC with milliseconds: "2026-11-23T15:40:00.123Z"; years 0 to 9999, others as the nearest of them.
std::string FormatRfc3339(WallTime time);
// The same at the end of `out`.
void AppendRfc3339(std::string& out, WallTime time);
// Exactly that form; empty for anything else.
std::optional<WallTime> ParseRfc3339(std::string_view text);

}  // namespace lazaret
