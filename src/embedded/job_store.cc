#include "embedded/job_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace lazaret::embedded {
namespace {

constexpr std::size_t kMaxNote = 1024;
// So that no sum of times overflows.
constexpr milliseconds kLongest = std::chrono::years(1000);

std::unexpected<Error> NotFound(const Digest& id, std::string_view what) {
  return Fail(Errc::kNotFound, fmt::format("{} {}", what, id.Hex()));
}

}  // namespace

Result<void> CheckRoom(const QueueState& state, const JobPolicy& policy, std::uint64_t size) {
  if (size > policy.max_bytes) {
    return Fail(Errc::kTooLarge,
                fmt::format("the content of {} bytes is larger than the whole job queue may be (jobs.disk_budget, {})",
                            size, policy.max_bytes));
  }
  if (state.unfinished() >= policy.max_jobs) {
    return Fail(Errc::kOverloaded,
                fmt::format("the job queue is full: {} jobs wait (jobs.max_waiting)", policy.max_jobs));
  }
  if (state.bytes > policy.max_bytes - size) {
    return Fail(Errc::kOverloaded, fmt::format("the job queue is full: its contents take {} of {} bytes "
                                               "(jobs.disk_budget)",
                                               state.bytes, policy.max_bytes));
  }
  return {};
}

JobStore::JobStore(JobRows rows, MessageRows& messages, QueueChanges& changes, const JobLeases& leases,
                   JobPolicy policy, std::uint64_t max_messages, const Clock& clock)
    : rows_(std::move(rows)),
      messages_(messages),
      changes_(changes),
      leases_(leases),
      policy_(policy),
      max_messages_(max_messages),
      clock_(clock) {}

std::uint64_t& JobStore::Counter(Lane lane) {
  switch (lane) {
    case Lane::kSmall: return changes_.state.ready_small;
    case Lane::kLarge: return changes_.state.ready_large;
    case Lane::kPaused: return changes_.state.paused;
    case Lane::kLeased: return changes_.state.leased;
  }
  throw std::logic_error("a lane of no name");
}

std::int64_t JobStore::KeepTime(JobState finished) const {
  return std::min(finished == JobState::kDone ? policy_.keep_done : policy_.keep_dead, kLongest).count();
}

bool JobStore::IsExpired(const JobRow& row) const {
  return row.finished_at && *row.finished_at + KeepTime(row.state) <= Now();
}

Result<JobRow> JobStore::FindLeased(const Lease& lease) {
  auto row = rows_.Find(lease.id);
  if (!row) return std::unexpected(row.error());
  if (!*row || (*row)->token != static_cast<std::int64_t>(lease.token)) {
    return NotFound(lease.id, "the lease has been lost of job");
  }
  return **std::move(row);
}

Result<std::optional<JobRow>> JobStore::FindCurrent(const Digest& id) {
  auto row = rows_.Find(id);
  if (row && *row && IsExpired(**row)) return std::nullopt;
  return row;
}

Result<std::optional<Submitted>> JobStore::Submit(const Submission& submission) {
  const Digest& id = submission.content->digest();
  const std::uint64_t size = submission.content->size();
  auto found = rows_.Find(id);
  if (!found) return std::unexpected(found.error());
  if (*found && !(*found)->finished_at) {
    if (submission.callback) {
      if (auto added = AddCallback(id, *submission.callback); !added) return std::unexpected(added.error());
    }
    return Submitted::kAttached;
  }
  if (!submission.bytes && !submission.file) return std::nullopt;
  if (auto room = embedded::CheckRoom(changes_.state, policy_, size); !room) return std::unexpected(room.error());
  if (*found) {
    if (auto removed = Remove(**found); !removed) return std::unexpected(removed.error());
  }
  const ContentPlace place = submission.file ? ContentPlace::kFile : ContentPlace::kRow;
  const std::uint64_t file = submission.file ? submission.file->name().number : 0;
  const auto seq = Insert(id, size, place, file);
  if (!seq) return std::unexpected(seq.error());
  if (submission.file) {
    changes_.Adopt(submission.file);
  } else if (auto inserted = rows_.InsertContent(*seq, *submission.bytes); !inserted) {
    return std::unexpected(inserted.error());
  }
  if (submission.callback) {
    if (auto added = AddCallback(id, *submission.callback); !added) return std::unexpected(added.error());
  }
  return Submitted::kQueued;
}

Result<std::int64_t> JobStore::Insert(const Digest& id, std::uint64_t size, ContentPlace place, std::uint64_t file) {
  const auto seq = rows_.Insert(id, LaneOf(size), size, Now(), place, file);
  if (!seq) return seq;
  // Each is greater than all that are there.
  changes_.state.first_new = std::min(changes_.state.first_new, *seq);
  changes_.state.bytes += size;
  ++Counter(LaneOf(size));
  return seq;
}

Result<void> JobStore::CheckMessages() const {
  if (changes_.state.callbacks + changes_.state.messages < max_messages_) return {};
  return Fail(Errc::kOverloaded, fmt::format("too many callbacks wait: {}", max_messages_));
}

Result<void> JobStore::AddCallback(const Digest& id, const Callback& callback) {
  const auto added = messages_.InsertCallback(id, callback);
  if (!added) return std::unexpected(added.error());
  if (!*added) return {};
  if (auto room = CheckMessages(); !room) return room;
  const auto waiting = messages_.CountCallbacks(id);
  if (!waiting) return std::unexpected(waiting.error());
  if (*waiting > policy_.max_callbacks) {
    return Fail(Errc::kOverloaded, fmt::format("too many callbacks wait for this scan: {}", policy_.max_callbacks));
  }
  ++changes_.state.callbacks;
  return {};
}

Result<void> JobStore::AddMessage(const Digest& id, const Callback& callback, Bytes verdict) {
  const auto added = messages_.Insert(id, callback, verdict, Now());
  if (!added) return std::unexpected(added.error());
  if (!*added) return {};
  if (auto room = CheckMessages(); !room) return room;
  ++changes_.state.messages;
  changes_.state.next_message = 0;
  return {};
}

Result<void> JobStore::Finish(const Lease& lease, Bytes verdict, JobState end) {
  const auto row = FindLeased(lease);
  if (!row) return std::unexpected(row.error());
  QueueState& state = changes_.state;
  if (auto finished = rows_.Finish(row->seq, end, Now(), verdict); !finished) return finished;
  QueueState::Lower(state.leased);
  QueueState::Lower(state.bytes, row->size);
  ++Counter(end);
  changes_.EndLease(lease);
  state.next_expiry = std::min(state.next_expiry, Now() + KeepTime(end));
  const auto due = messages_.MakeDue(lease.id, verdict, Now());
  if (!due) return std::unexpected(due.error());
  QueueState::Lower(state.callbacks, *due);
  state.messages += *due;
  if (*due > 0) state.next_message = 0;
  if (end == JobState::kDead) {
    state.dead_bytes += row->size;
    return TrimDead();
  }
  if (auto removed = RemoveContent(*row); !removed) return removed;
  return rows_.ForgetContent(row->seq);
}

Result<void> JobStore::Requeue(const JobRow& row, milliseconds pause) {
  Lane lane = LaneOf(row.size);
  std::optional<std::int64_t> available_at;
  if (pause > milliseconds(0)) {
    lane = Lane::kPaused;
    available_at = Now() + std::min(pause, kLongest).count();
    changes_.state.next_pause_end = std::min(changes_.state.next_pause_end, *available_at);
  }
  if (auto queued = rows_.Queue(row.seq, lane, available_at); !queued) return queued;
  QueueState::Lower(changes_.state.leased);
  ++Counter(lane);
  changes_.EndLease({row.id, static_cast<std::uint64_t>(row.token.value_or(0))});
  return {};
}

Result<void> JobStore::Retry(const Lease& lease, milliseconds pause, const std::string& why) {
  const auto row = FindLeased(lease);
  if (!row) return std::unexpected(row.error());
  if (auto counted = rows_.CountAttempt(row->seq, why.substr(0, kMaxNote)); !counted) return counted;
  return Requeue(*row, pause);
}

Result<void> JobStore::Release(const Lease& lease) {
  const auto row = FindLeased(lease);
  if (!row) return std::unexpected(row.error());
  return Requeue(*row, milliseconds(0));
}

Result<void> JobStore::Revive(const Digest& id) {
  const auto found = FindCurrent(id);
  if (!found) return std::unexpected(found.error());
  if (!*found) return NotFound(id, "there is no job");
  const JobRow& row = **found;
  if (row.state != JobState::kDead) {
    return Fail(Errc::kMalformed, fmt::format("job {} is no dead letter: it is {}", id.Hex(), ToString(row.state)));
  }
  if (row.place == ContentPlace::kNowhere) {
    return Fail(Errc::kMalformed, fmt::format("the content of job {} is gone: submit it again", id.Hex()));
  }
  if (auto room = embedded::CheckRoom(changes_.state, policy_, row.size); !room) return room;
  if (auto removed = rows_.Remove(row.seq); !removed) return removed;
  const auto seq = Insert(id, row.size, row.place, row.file);
  if (!seq) return std::unexpected(seq.error());
  if (row.place == ContentPlace::kRow) {
    if (auto moved = rows_.MoveContent(row.seq, *seq); !moved) return moved;
  }
  QueueState& state = changes_.state;
  QueueState::Lower(state.dead);
  QueueState::Lower(state.dead_bytes, row.size);
  return {};
}

Result<void> JobStore::Drop(const Digest& id) {
  const auto found = FindCurrent(id);
  if (!found) return std::unexpected(found.error());
  if (!*found) return NotFound(id, "there is no job");
  const auto callbacks = messages_.RemoveCallbacks(id);
  if (!callbacks) return std::unexpected(callbacks.error());
  QueueState::Lower(changes_.state.callbacks, *callbacks);
  return Remove(**found);
}

Result<void> JobStore::RemoveContent(const JobRow& row) {
  switch (row.place) {
    case ContentPlace::kNowhere: break;
    case ContentPlace::kRow: changes_.state.freed += row.size; return rows_.RemoveContent(row.seq);
    case ContentPlace::kFile: changes_.RemoveFile({row.id, row.file}); break;
  }
  return {};
}

Result<void> JobStore::Remove(const JobRow& row) {
  if (auto removed = RemoveContent(row); !removed) return removed;
  if (auto removed = rows_.Remove(row.seq); !removed) return removed;
  QueueState& state = changes_.state;
  if (row.lane) {
    QueueState::Lower(Counter(*row.lane));
    QueueState::Lower(state.bytes, row.size);
    if (row.token) changes_.EndLease({row.id, static_cast<std::uint64_t>(*row.token)});
  } else {
    QueueState::Lower(Counter(row.state));
    if (row.state == JobState::kDead && row.place != ContentPlace::kNowhere)
      QueueState::Lower(state.dead_bytes, row.size);
  }
  return {};
}

Result<JobStore::Heads> JobStore::Peek() {
  Heads heads;
  const auto peek = [&](Lane lane, std::optional<std::int64_t>& head) -> Result<void> {
    if (Counter(lane) == 0) return {};
    const auto first = rows_.First(lane);
    if (!first) return std::unexpected(first.error());
    if (*first) head = (*first)->seq;
    return {};
  };
  if (auto peeked = peek(Lane::kSmall, heads.small); !peeked) return std::unexpected(peeked.error());
  if (auto peeked = peek(Lane::kLarge, heads.large); !peeked) return std::unexpected(peeked.error());
  return heads;
}

Result<TakenRow> JobStore::Take(std::int64_t seq, Lane from) {
  const std::uint64_t token = ++next_token_;
  auto row = rows_.Lease(seq, token);
  if (!row) return std::unexpected(row.error());
  TakenRow taken{.row = *row, .lease = {.id = row->id, .token = token}, .bytes = {}};
  if (taken.row.place == ContentPlace::kRow) {
    auto bytes = rows_.ReadContent(seq);
    if (!bytes) return std::unexpected(bytes.error());
    taken.bytes = *std::move(bytes);
  }
  QueueState::Lower(Counter(from));
  ++changes_.state.leased;
  changes_.GrantLease(taken.lease, clock_.SteadyNow() + std::min(policy_.lease, kLongest / 10));
  return taken;
}

}  // namespace lazaret::embedded
