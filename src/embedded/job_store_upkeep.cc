// What a JobStore does without being asked: at the start, when time has passed, and when there is too much of
// something.
#include "embedded/job_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace lazaret::embedded {
namespace {

constexpr std::size_t kExpiryStep = 200;
constexpr std::size_t kPauseStep = 1000;
// More than one group can add, so that a limit holds after each transaction.
constexpr std::size_t kExcessStep = 2000;
constexpr std::int64_t kEver = QueueState::kNever;

}  // namespace

Result<std::uint64_t> JobStore::Recover(SqliteConnection& connection) {
  const std::string end_leases = fmt::format(
      "UPDATE jobs SET state = 1, lane = iif(size <= {}, 1, 2), token = NULL, lost = lost + 1 WHERE lane = 4",
      std::min<std::uint64_t>(policy_.small_size, std::numeric_limits<std::int64_t>::max()));
  if (auto ended = connection.Execute(end_leases.c_str()); !ended) return std::unexpected(ended.error());
  const auto leases = static_cast<std::uint64_t>(connection.ChangedRows());
  if (auto marked = connection.Execute("INSERT INTO marks VALUES('openings', 1) "
                                       "ON CONFLICT(name) DO UPDATE SET value = value + 1");
      !marked) {
    return std::unexpected(marked.error());
  }
  QueueState& state = changes_.state;
  std::uint64_t openings = 0;
  const std::pair<std::uint64_t*, const char*> counts[] = {
      {&openings, "SELECT value FROM marks WHERE name = 'openings'"},
      {&state.ready_small, "SELECT count(*) FROM jobs WHERE lane = 1"},
      {&state.ready_large, "SELECT count(*) FROM jobs WHERE lane = 2"},
      {&state.paused, "SELECT count(*) FROM jobs WHERE lane = 3"},
      {&state.bytes, "SELECT sum(size) FROM jobs WHERE lane IS NOT NULL"},
      {&state.done, "SELECT count(*) FROM jobs WHERE state = 3 AND finished_at IS NOT NULL"},
      {&state.dead, "SELECT count(*) FROM jobs WHERE state = 4 AND finished_at IS NOT NULL"},
      {&state.dead_bytes, "SELECT sum(size) FROM jobs WHERE state = 4 AND content <> 0"},
      {&state.callbacks, "SELECT count(*) FROM callbacks"},
      {&state.messages, "SELECT count(*) FROM messages"},
  };
  for (const auto& [count, sql] : counts) {
    const auto value = connection.QueryInteger(sql);
    if (!value) return std::unexpected(value.error());
    *count = static_cast<std::uint64_t>(*value);
  }
  // No two openings of a file give the same token.
  next_token_ = openings << 40;
  state.next_pause_end = state.next_expiry = 0;
  if (auto ended = EndPauses(); !ended) return std::unexpected(ended.error());
  return leases;
}

Result<void> JobStore::Reclaim() {
  for (const auto& [id, token] : leases_.Over(clock_.SteadyNow())) {
    changes_.EndLease({id, token});
    const auto row = FindLeased({id, token});
    if (!row && row.error().code == Errc::kNotFound) continue;
    if (!row) return std::unexpected(row.error());
    if (auto counted = rows_.CountLost(row->seq); !counted) return counted;
    if (auto queued = Requeue(*row, milliseconds(0)); !queued) return queued;
  }
  return {};
}

Result<void> JobStore::EndPauses() {
  if (!PausesAreDue()) return {};
  QueueState& state = changes_.state;
  const auto ended = rows_.EndPauses(Now(), policy_.small_size, kPauseStep);
  if (!ended) return std::unexpected(ended.error());
  QueueState::Lower(state.paused, ended->small + ended->large);
  state.ready_small += ended->small;
  state.ready_large += ended->large;
  const auto next = rows_.FirstPauseEnd();
  if (!next) return std::unexpected(next.error());
  state.next_pause_end = next->value_or(QueueState::kNever);
  return {};
}

bool JobStore::IsTooFull() const {
  const QueueState& state = changes_.state;
  return state.next_expiry <= Now() || state.done > policy_.max_done || state.dead > policy_.max_dead ||
         state.dead_bytes > policy_.max_dead_bytes;
}

Result<void> JobStore::Expire() {
  if (!IsTooFull()) return {};
  QueueState& state = changes_.state;
  for (const JobState finished : {JobState::kDone, JobState::kDead}) {
    const std::uint64_t limit = finished == JobState::kDone ? policy_.max_done : policy_.max_dead;
    if (const std::uint64_t count = Counter(finished); count > limit) {
      const auto excess = static_cast<std::size_t>(std::min<std::uint64_t>(count - limit, kExcessStep));
      if (auto removed = RemoveEnded(finished, kEver, excess); !removed) return removed;
    }
    if (state.next_expiry > Now()) continue;
    if (auto removed = RemoveEnded(finished, Now() - KeepTime(finished), kExpiryStep); !removed) return removed;
  }
  if (auto trimmed = TrimDead(); !trimmed) return trimmed;
  state.next_expiry = QueueState::kNever;
  for (const JobState finished : {JobState::kDone, JobState::kDead}) {
    const auto first = rows_.Ended(finished, kEver, 1);
    if (!first) return std::unexpected(first.error());
    if (first->empty()) continue;
    state.next_expiry = std::min(state.next_expiry, first->front().finished_at.value_or(0) + KeepTime(finished));
  }
  return {};
}

Result<void> JobStore::RemoveEnded(JobState state, std::int64_t until, std::size_t limit) {
  const auto ended = rows_.Ended(state, until, limit);
  if (!ended) return std::unexpected(ended.error());
  for (const JobRow& row : *ended) {
    if (auto removed = Remove(row); !removed) return removed;
  }
  return {};
}

Result<void> JobStore::TrimDead() {
  while (changes_.state.dead_bytes > policy_.max_dead_bytes) {
    const auto row = rows_.FirstKept();
    if (!row) return std::unexpected(row.error());
    if (!*row) {
      changes_.state.dead_bytes = 0;
      return {};
    }
    if (auto removed = RemoveContent(**row); !removed) return removed;
    if (auto forgotten = rows_.ForgetContent((*row)->seq); !forgotten) return forgotten;
    QueueState::Lower(changes_.state.dead_bytes, (*row)->size);
  }
  return {};
}

Result<void> JobStore::FindOldest() {
  std::optional<JobRows::Head> oldest;
  for (const Lane lane : {Lane::kSmall, Lane::kLarge, Lane::kPaused, Lane::kLeased}) {
    if (Counter(lane) == 0) continue;
    const auto first = rows_.First(lane);
    if (!first) return std::unexpected(first.error());
    if (*first && (!oldest || (*first)->seq < oldest->seq)) oldest = **first;
  }
  changes_.state.oldest = oldest.transform([](const JobRows::Head& head) { return head.submitted_at; });
  return {};
}

}  // namespace lazaret::embedded
