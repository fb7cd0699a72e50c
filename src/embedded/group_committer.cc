#include "embedded/group_committer.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "base/exception.h"

namespace lazaret::embedded {
namespace {

constexpr std::size_t kMaxGroup = 1000;
constexpr std::size_t kMaxGroupBytes = 8 << 20;
constexpr std::int64_t kCheckpointStep = 1000;  // pages
constexpr std::chrono::hours kLongestWait{1};   // so that no sum of times overflows

}  // namespace

GroupCommitter::GroupCommitter(SqliteConnection& connection, TransactionParticipant& participant, Limits limits,
                               const Clock& clock, Log& log)
    : connection_(connection),
      participant_(participant),
      limits_(limits),
      clock_(clock),
      log_(log),
      next_checkpoint_(limits.wal_pages) {}

void GroupCommitter::Start() {
  // After the results are delivered, not within a commit that somebody waits for.
  connection_.CheckpointByHand();
  thread_ = std::jthread([this] { RunThread(); });
}

void GroupCommitter::Finish() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void GroupCommitter::Post(std::move_only_function<Result<void>()> change) {
  // Cannot fail: it is not bounded.
  (void)Add({.run = std::move(change), .end = [](const Result<void>&) {}, .admission = Admission::kAlways, .bytes = 0});
}

void GroupCommitter::Wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  work_.notify_one();
}

Result<void> GroupCommitter::Add(Queued queued) {
  {
    std::lock_guard lock(mutex_);
    if (queued.admission == Admission::kBounded) {
      if (bounded_ >= limits_.max_queued) {
        return Fail(Errc::kOverloaded,
                    fmt::format("{}: {} changes wait to be written already", connection_.path(), bounded_));
      }
      ++bounded_;
    }
    queue_.push_back(std::move(queued));
  }
  work_.notify_one();
  return {};
}

GroupCommitter::Counts GroupCommitter::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

void GroupCommitter::RunThread() {
  std::unique_lock lock(mutex_);
  while (true) {
    lock.unlock();
    const SteadyTime next_turn = participant_.NextTurn();
    lock.lock();
    const auto has_work = [this] { return stopping_ || woken_ || !queue_.empty(); };
    if (next_turn == SteadyTime::max()) {
      work_.wait(lock, has_work);
    } else {
      work_.wait_for(lock, std::min<SteadyTime::duration>(next_turn - clock_.SteadyNow(), kLongestWait), has_work);
    }
    if (stopping_ && queue_.empty()) return;
    woken_ = false;
    std::vector<Queued> group = TakeGroup();
    lock.unlock();
    const bool wanted = participant_.WantsTransaction();
    if (wanted || !group.empty()) WriteGroup(group);
    // What the changes hold is destroyed without the lock: it may queue changes in its turn.
    const auto bounded = static_cast<std::size_t>(
        std::ranges::count(group, Admission::kBounded, [](const Queued& queued) { return queued.admission; }));
    group.clear();
    lock.lock();
    bounded_ -= bounded;
  }
}

std::vector<GroupCommitter::Queued> GroupCommitter::TakeGroup() {
  std::vector<Queued> group;
  std::size_t bytes = 0;
  while (!queue_.empty() && group.size() < kMaxGroup && bytes < kMaxGroupBytes) {
    bytes += queue_.front().bytes;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
}

void GroupCommitter::WriteGroup(std::vector<Queued>& group) {
  lost_.reset();
  participant_.OnBegin();
  const Result<void> committed = WriteInTransaction(group);
  if (!committed) {
    if (committed.error().code == Errc::kCorrupt) participant_.OnDamage(committed.error());
    if (connection_.InTransaction()) {
      if (auto undone = connection_.Execute("ROLLBACK"); !undone) {
        log_.Error("rolling back failed", {{"why", undone.error().what}});
      }
    }
  }
  participant_.OnEnd(committed);
  std::uint64_t written = 0;
  for (Queued& queued : group) {
    // A change that failed by itself keeps its own error.
    if (!queued.outcome) continue;
    queued.outcome = committed;
    written += committed ? 1 : 0;
  }
  // Before anybody hears of it.
  {
    std::lock_guard lock(mutex_);
    counts_.changes += written;
    if (written > 0) ++counts_.groups;
  }
  for (Queued& queued : group) queued.end(queued.outcome);
  if (committed) {
    Checkpoint();
  } else if (committed.error().code == Errc::kOverloaded) {
    // A log that begins anew has room for what makes room.
    (void)connection_.Checkpoint(false);
  }
}

Result<void> GroupCommitter::WriteInTransaction(std::vector<Queued>& group) {
  if (auto begun = connection_.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  for (Queued& queued : group) {
    queued.outcome = Attempt([&] { return queued.run(); });
    if (lost_) return std::unexpected(*lost_);
  }
  participant_.Contribute();
  if (lost_) return std::unexpected(*lost_);
  return connection_.Execute("COMMIT");
}

Result<void> GroupCommitter::Attempt(const std::function<Result<void>()>& part) {
  if (lost_) return std::unexpected(*lost_);
  if (auto begun = connection_.Execute("SAVEPOINT part"); !begun) {
    lost_ = begun.error();
    return begun;
  }
  participant_.OnPart();
  Result<void> outcome;
  try {
    outcome = part();
  } catch (...) {
    const std::string what = WhatOf(std::current_exception());
    log_.Error("exception in a change of the database", {{"file", connection_.path()}, {"what", what}});
    outcome = Fail(Errc::kInternal, what);
  }
  if (outcome) {
    if (auto released = connection_.Execute("RELEASE part"); !released) {
      lost_ = released.error();
      return released;
    }
    return outcome;
  }
  if (outcome.error().code == Errc::kCorrupt) participant_.OnDamage(outcome.error());
  participant_.OnPartUndone();
  if (!connection_.InTransaction()) {
    lost_ = outcome.error();
  } else if (auto undone = connection_.Execute("ROLLBACK TO part; RELEASE part"); !undone) {
    lost_ = undone.error();
  }
  return outcome;
}

void GroupCommitter::Checkpoint() {
  const std::int64_t pages = connection_.WalPages();
  if (pages < limits_.wal_pages) next_checkpoint_ = limits_.wal_pages;
  if (pages < next_checkpoint_) return;
  // Somebody who reads keeps the log from beginning anew: after a while, wait for them.
  if (auto done = connection_.Checkpoint(pages >= 4 * limits_.wal_pages); !done) {
    log_.Warning("checkpoint failed", {{"why", done.error().what}});
  }
  next_checkpoint_ = pages + kCheckpointStep;
}

}  // namespace lazaret::embedded
