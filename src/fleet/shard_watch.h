#pragma once

#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fleet/shard_calls.h"
#include "fleet/stream_tail.h"

namespace lazaret::fleet {

// Lanes of what can be taken from a shard, as bits.
using Lanes = unsigned;
inline constexpr Lanes kFirstLane = 1;
inline constexpr Lanes kBothLanes = 3;

// What is known of one shard, as of `seq`.
struct Outlook {
  std::array<std::uint64_t, 2> heads{};  // number of the first item of each lane, 0: there is none
  std::optional<SteadyTime> due;         // when another one is to be expected without a word, on our clock
  std::uint64_t seq = 0;
};

// Tells those who want to take something from one of the shards which one to look at, and when: the one with the oldest
// item that is known of, one of which nothing is known, or none. While somebody waits it hears from Redis what comes to
// the shards: a wait never misses anything, and nobody asks in vain but once in a while. On the executor of its tasks.
class ShardWatch {
 public:
  struct Parts {
    redis::Client& client;
    aio::TaskGroup& tasks;
    const Clock& clock;
    const RedisQueueSettings& settings;
    // Empty before anything is known.
    std::function<std::optional<Outlook>(std::uint32_t shard)> outlook;
    std::function<std::vector<std::string>(std::uint32_t shard)> streams;
    // Which lanes an entry of one of the streams concerns.
    std::function<Lanes(std::uint32_t shard, const StreamEntry&)> lanes_of;
  };
  explicit ShardWatch(Parts parts);
  ~ShardWatch();

  // Somebody who looks for something; others go on where he leaves off.
  class Seeker {
   public:
    Seeker(ShardWatch& watch, Lanes lanes, bool once);
    ~Seeker();
    Seeker(const Seeker&) = delete;
    Seeker& operator=(const Seeker&) = delete;

    // The shard to try next; empty when there is none.
    std::optional<std::uint32_t> Next();
    // Until there may be one, or `deadline`; on the real clock.
    aio::Task<> Wait(SteadyTime deadline);

   private:
    friend class ShardWatch;
    ShardWatch& watch_;
    const Lanes lanes_;
    const bool once_;
    std::vector<bool> tried_;
    std::unique_ptr<boost::asio::steady_timer> timer_;  // while it waits
    bool woken_ = false;
  };

  // What came of a try: whether the shard could be asked.
  void NoteTry(std::uint32_t shard, const std::optional<Error>& failure);
  // Why no shard can be asked now; empty when one can.
  std::optional<Error> failure() const;

 private:
  struct Shard {
    bool look = false;                          // something may be there that the outlook does not show
    SteadyTime rest_until = SteadyTime::min();  // it could not be asked
    SteadyTime deaf_until = SteadyTime::min();  // it could not be watched
    std::optional<Error> failure;
    std::unique_ptr<StreamTail> tail;
  };

  // By age: 0 for one that must be looked at; empty when there is nothing to look for.
  std::optional<std::uint64_t> AgeOf(std::uint32_t shard, Lanes lanes) const;
  bool HasNewsFor(Lanes lanes) const;
  void OnNews(std::uint32_t shard, Result<std::vector<StreamEntry>> news);
  void Wake(std::size_t count, Lanes lanes);
  // Makes sure that a wait is ended by what comes; when to look again in any case.
  SteadyTime Watch();
  SteadyTime OnRealClock(SteadyTime time) const;

  const Parts parts_;
  std::vector<Shard> shards_;
  std::list<Seeker*> seekers_;  // those that wait, the first first
};

}  // namespace lazaret::fleet
