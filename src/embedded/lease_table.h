#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace lazaret::embedded {

// Until when who holds what: at most one lease a key. Thread-safe.
template <class Key, class Hash = std::hash<Key>>
class LeaseTable {
 public:
  struct Held {
    std::uint64_t token;
    SteadyTime until;
  };
  // Replaces a lease of `key` that is there already, and returns it.
  std::optional<Held> Grant(const Key& key, std::uint64_t token, SteadyTime until) {
    std::lock_guard lock(mutex_);
    std::optional<Held> replaced;
    if (const auto found = leases_.find(key); found != leases_.end()) {
      replaced = Held{found->second.token, found->second.end->first};
      Erase(found);
    }
    leases_.emplace(key, Entry{token, ends_.emplace(until, key)});
    return replaced;
  }
  // False when `key` has no lease with this token.
  bool Renew(const Key& key, std::uint64_t token, SteadyTime until) {
    std::lock_guard lock(mutex_);
    const auto found = leases_.find(key);
    if (found == leases_.end() || found->second.token != token) return false;
    ends_.erase(found->second.end);
    found->second.end = ends_.emplace(until, key);
    return true;
  }
  void End(const Key& key, std::uint64_t token) {
    std::lock_guard lock(mutex_);
    const auto found = leases_.find(key);
    if (found != leases_.end() && found->second.token == token) Erase(found);
  }

  bool Has(const Key& key) const {
    std::lock_guard lock(mutex_);
    return leases_.contains(key);
  }
  // Those whose time is up; they stay in the table until End.
  std::vector<std::pair<Key, std::uint64_t>> Over(SteadyTime now) const {
    std::lock_guard lock(mutex_);
    std::vector<std::pair<Key, std::uint64_t>> over;
    for (auto end = ends_.begin(); end != ends_.end() && end->first <= now; ++end) {
      over.emplace_back(end->second, leases_.at(end->second).token);
    }
    return over;
  }
  // SteadyTime::max() when there is none.
  SteadyTime FirstEnd() const {
    std::lock_guard lock(mutex_);
    return ends_.empty() ? SteadyTime::max() : ends_.begin()->first;
  }

 private:
  using Ends = std::multimap<SteadyTime, Key>;
  struct Entry {
    std::uint64_t token;
    typename Ends::iterator end;
  };
  void Erase(typename std::unordered_map<Key, Entry, Hash>::iterator found) {
    ends_.erase(found->second.end);
    leases_.erase(found);
  }

  mutable std::mutex mutex_;
  std::unordered_map<Key, Entry, Hash> leases_;
  Ends ends_;
};

}  // namespace lazaret::embedded
