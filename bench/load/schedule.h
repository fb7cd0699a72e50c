#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

#include "base/clock.h"

namespace lazaret::bench {

using std::chrono::nanoseconds;

enum class Spacing { kEven, kPoisson };

// When the requests of an open loop are to begin, as times since its start. Each of `shares` threads takes its own
// `share` (from 0): together they make `rate` a second. The same seed gives the same times.
class Arrivals {
 public:
  Arrivals(double rate, Spacing spacing, unsigned share, unsigned shares, std::uint64_t seed);
  // Each time later than, or as, the one before.
  nanoseconds Next();

 private:
  const double rate_;
  const Spacing spacing_;
  const unsigned share_, shares_;
  std::mt19937_64 random_;
  std::uint64_t number_ = 0;
  double seconds_ = 0;
};

// A request that may begin. Its latency counts from `intended`, whenever it really began: a server that stalls makes
// the requests wait that should have begun meanwhile, and a client that waits for it must not forget them.
struct Turn {
  std::uint64_t number;  // over all threads
  SteadyTime intended;
};

// How many requests all threads make together.
class RequestBudget {
 public:
  // 0: any number.
  explicit RequestBudget(std::uint64_t limit) : limit_(limit) {}
  // The next number; empty when all have been given out. Thread-safe.
  std::optional<std::uint64_t> Take();

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> next_ = 0;
};

// Gives the connections of one thread their turns. A closed loop has a turn whenever a connection is free; an open loop
// has them at set times, and a connection that comes late gets one that should have begun already.
class Pacer {
 public:
  // `arrivals` empty: a closed loop. Nothing begins at `end` or later.
  Pacer(SteadyTime start, SteadyTime end, std::optional<Arrivals> arrivals, RequestBudget& budget);

  // Empty when there is nothing more to begin. `intended` may lie in the future: wait until then.
  std::optional<Turn> Next(SteadyTime now);
  // Of an open loop that has fallen behind: the next arrival that should have begun before `end` and never did.
  std::optional<Turn> TakeMissed();

 private:
  std::optional<Turn> Give(SteadyTime intended);

  const SteadyTime start_, end_;
  std::optional<Arrivals> arrivals_;
  RequestBudget& budget_;
  bool over_ = false;
};

}  // namespace lazaret::bench
