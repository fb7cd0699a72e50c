#include "core/override_board.h"

#include <algorithm>
#include <utility>

namespace lazaret {
namespace {

// More changes at once, as when a server starts, are told as one.
constexpr std::size_t kMostLogged = 20;

milliseconds SinceStart(SteadyTime time) { return std::chrono::floor<milliseconds>(time.time_since_epoch()); }

}  // namespace

OverridePtr OverrideBoard::Find(const Digest& id) const {
  if (entries_.load(std::memory_order_acquire) == 0) return nullptr;
  Entry found;
  {
    std::shared_lock lock(mutex_);
    const auto entry = table_.find(id);
    if (entry == table_.end()) return nullptr;
    found = entry->second;
  }
  if (!IsInForce(*found.entry)) return nullptr;
  if (!found.is_used->load(std::memory_order_relaxed) && !found.is_used->exchange(true)) {
    LogChange("override used for the first time", *found.entry);
  }
  return found.entry;
}

std::vector<OverridePtr> OverrideBoard::List() const {
  std::vector<OverridePtr> all;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [id, entry] : table_) {
      if (IsInForce(*entry.entry)) all.push_back(entry.entry);
    }
  }
  std::ranges::sort(all, [](const OverridePtr& a, const OverridePtr& b) {
    return a->since != b->since ? a->since > b->since : a->id < b->id;
  });
  return all;
}

std::size_t OverrideBoard::size() const {
  std::shared_lock lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(table_, [&](const auto& entry) { return IsInForce(*entry.second.entry); }));
}

WallTime OverrideBoard::Now() const {
  const std::int64_t ahead = ahead_ms_;
  return ahead == kOwnClock ? clock_.Now() : WallTime(SinceStart(clock_.SteadyNow()) + milliseconds(ahead));
}

void OverrideBoard::FollowClock(WallTime now, SteadyTime at) {
  ahead_ms_ = (now.time_since_epoch() - SinceStart(at)).count();
}

void OverrideBoard::Replace(std::vector<Override> all) {
  std::lock_guard one_at_a_time(changes_);
  Table next;
  for (Override& entry : all) {
    const Digest id = entry.id;
    next.insert_or_assign(id, Entry{.entry = std::make_shared<const Override>(std::move(entry))});
  }
  Swap(std::move(next));
}

void OverrideBoard::Put(Override entry) {
  std::lock_guard one_at_a_time(changes_);
  Table next = table_;  // only changed under this lock
  const Digest id = entry.id;
  next.insert_or_assign(id, Entry{.entry = std::make_shared<const Override>(std::move(entry))});
  Swap(std::move(next));
}

void OverrideBoard::Drop(const Digest& id) {
  std::lock_guard one_at_a_time(changes_);
  Table next = table_;
  if (next.erase(id) > 0) Swap(std::move(next));
}

void OverrideBoard::DropExpired() {
  std::lock_guard one_at_a_time(changes_);
  const auto is_over = [&](const auto& entry) { return !IsInForce(*entry.second.entry); };
  if (std::ranges::none_of(table_, is_over)) return;
  Table next = table_;
  std::erase_if(next, is_over);
  Swap(std::move(next));
}

// With the changes' lock held.
void OverrideBoard::Swap(Table next) {
  std::vector<OverridePtr> begun;
  std::vector<OverridePtr> ended;
  for (auto& [id, entry] : next) {
    const auto before = table_.find(id);
    if (before != table_.end() && *before->second.entry == *entry.entry) {
      entry = before->second;
    } else if (IsInForce(*entry.entry)) {
      begun.push_back(entry.entry);
    }
  }
  for (const auto& [id, entry] : table_) {
    if (!next.contains(id)) ended.push_back(entry.entry);
  }
  {
    std::unique_lock lock(mutex_);
    table_.swap(next);
    entries_.store(table_.size(), std::memory_order_release);
  }
  if (begun.size() + ended.size() > kMostLogged) {
    log_.Info("overrides changed", {{"begun", begun.size()}, {"ended", ended.size()}});
    return;
  }
  for (const OverridePtr& entry : begun) LogChange("override in force", *entry);
  for (const OverridePtr& entry : ended) LogChange("override ended", *entry);
}

void OverrideBoard::LogChange(std::string_view event, const Override& entry) const {
  log_.Info(event, {{"id", entry.id.Hex()},
                    {"verdict", ToString(entry.kind)},
                    {"reason", entry.reason},
                    {"by", entry.by},
                    {"since", FormatRfc3339(entry.since)},
                    {"until", entry.until ? FormatRfc3339(*entry.until) : "-"}});
}

}  // namespace lazaret
