#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "core/override.h"

namespace lazaret {

// The overrides that are in force on this server: what answers ask, and what a store of overrides (override_store.h)
// keeps up to date. Says in the log what comes into force, what ends, and when one is used for the first time.
// Thread-safe.
class OverrideBoard {
 public:
  // Both must outlive the board.
  OverrideBoard(const Clock& clock, Log& log) : clock_(clock), log_(log) {}

  // What answers for this content now; null when nothing does. Waits for nobody; without overrides it costs a load.
  OverridePtr Find(const Digest& id) const;
  // All in force, the newest first.
  std::vector<OverridePtr> List() const;
  std::size_t size() const;

  // The time that ends overrides: this server's, unless a store goes by another clock.
  WallTime Now() const;

  // For the store. Replaces all that was there.
  void Replace(std::vector<Override> all);
  void Put(Override entry);
  void Drop(const Digest& id);
  // So that the log tells when they end, and they take no space.
  void DropExpired();
  // From now on the clock of another machine counts, which showed `now` at `at`.
  void FollowClock(WallTime now, SteadyTime at);

 private:
  struct Entry {
    OverridePtr entry;
    std::shared_ptr<std::atomic<bool>> is_used = std::make_shared<std::atomic<bool>>(false);
  };
  using Table = std::unordered_map<Digest, Entry, DigestHash>;
  static constexpr auto kOwnClock = std::numeric_limits<std::int64_t>::min();

  bool IsInForce(const Override& entry) const { return !entry.until || *entry.until > Now(); }
  void Swap(Table next);
  void LogChange(std::string_view event, const Override& entry) const;

  const Clock& clock_;
  Log& log_;
  std::atomic<std::int64_t> ahead_ms_ = kOwnClock;  // of the clock that counts, to this server's steady one
  std::mutex changes_;                              // one at a time
  mutable std::shared_mutex mutex_;                 // guards table_
  Table table_;
  std::atomic<std::size_t> entries_ = 0;  // of the table
};

}  // namespace lazaret
