#include "embedded/queue_writer.h"

#include <fmt/format.h>

#include <algorithm>

namespace lazaret::embedded {
namespace {

constexpr milliseconds kStepPause{10};  // between two steps of a chore
constexpr milliseconds kFailurePause{1000};
constexpr std::uint64_t kLookAfter = 16 << 20;      // bytes were freed: the file may have become too large
constexpr milliseconds kQuiet{1000};                // before it is looked at
constexpr std::int64_t kMostFreePages = 16 * 1024;  // 64 MiB
constexpr milliseconds kLongest = std::chrono::years(10);

Error Damaged(const std::string& path, const std::string& why) {
  return {
      Errc::kCorrupt,
      fmt::format("the job queue {} was found to be damaged while in use ({}); it takes no more jobs: check the disk "
                  "and restart lazaret, which says what can be done",
                  path, why)};
}

}  // namespace

Result<std::unique_ptr<QueueWriter>> QueueWriter::Start(SqliteConnection& connection, const ContentFiles& files,
                                                        Settings settings, const Clock& clock, Log& log) {
  auto jobs = JobRows::Prepare(connection);
  if (!jobs) return std::unexpected(jobs.error());
  auto messages = MessageRows::Prepare(connection);
  if (!messages) return std::unexpected(messages.error());
  auto lookup = JobRows::Prepare(connection);
  if (!lookup) return std::unexpected(lookup.error());
  std::unique_ptr<QueueWriter> writer(
      new QueueWriter(connection, files, settings, *std::move(messages), *std::move(jobs), clock, log));
  if (auto recovered = writer->Recover(files, *lookup); !recovered) return std::unexpected(recovered.error());
  ReserveQueueLog(connection.path());
  writer->committer_.Start();
  return writer;
}

QueueWriter::QueueWriter(SqliteConnection& connection, const ContentFiles& files, Settings settings,
                         MessageRows messages, JobRows jobs, const Clock& clock, Log& log)
    : connection_(connection),
      settings_(settings),
      clock_(clock),
      log_(log),
      messages_(std::move(messages)),
      changes_(leases_, files),
      jobs_(std::move(jobs), messages_, changes_, leases_, settings.policy, settings.max_messages, clock),
      committer_(connection, *this, {.max_queued = settings.max_queued}, clock, log) {}

Result<void> QueueWriter::Recover(const ContentFiles& files, JobRows& rows) {
  if (auto begun = connection_.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  // Those who had taken messages are gone, and after a pause of ours a receiver may well be tried again.
  const std::string all_due = fmt::format("UPDATE messages SET due_at = {0} WHERE due_at > {0}", jobs_.Now());
  if (auto made_due = connection_.Execute(all_due.c_str()); !made_due) return made_due;
  const auto leases = jobs_.Recover(connection_);
  if (!leases) return std::unexpected(leases.error());
  if (auto found = jobs_.FindOldest(); !found) return found;
  if (auto committed = connection_.Execute("COMMIT"); !committed) return committed;
  changes_.Commit();
  published_ = changes_.state;
  const auto removed = files.RemoveUnwanted([&](const ContentFileName& name) -> Result<bool> {
    const auto row = rows.Find(name.id);
    if (!row) return std::unexpected(row.error());
    return *row && (*row)->place == ContentPlace::kFile && (*row)->file == name.number;
  });
  if (!removed) return std::unexpected(removed.error());
  log_.Info("job queue opened", {{"file", connection_.path()},
                                 {"jobs", changes_.state.unfinished()},
                                 {"leases_ended", *leases},
                                 {"files_removed", *removed}});
  return {};
}

QueueState QueueWriter::state() const {
  std::lock_guard lock(mutex_);
  return published_;
}

Result<void> QueueWriter::CheckDamage() const {
  std::lock_guard lock(mutex_);
  if (damage_) return std::unexpected(*damage_);
  return {};
}

void QueueWriter::OnDamage(const Error& error) {
  {
    std::lock_guard lock(mutex_);
    if (damage_) return;
    damage_ = Damaged(connection_.path(), error.what);
  }
  log_.Error("job queue damaged", {{"why", error.what}});
}

SteadyTime QueueWriter::LeaseEnd() const { return clock_.SteadyNow() + std::min(settings_.policy.lease, kLongest); }

SteadyTime QueueWriter::SteadyAt(std::int64_t wall) const {
  const std::int64_t now = jobs_.Now();
  if (wall <= now) return clock_.SteadyNow();
  return clock_.SteadyNow() + milliseconds(std::min<std::int64_t>(wall - now, kLongest.count()));
}

template <class Line, class Wish>
auto QueueWriter::WaitIn(Line& line, Wish wish, SteadyTime until) {
  const SteadyTime now = clock_.SteadyNow();
  SteadyTime deadline = SteadyTime::max();
  // The line's timers run on the real clock.
  if (until > now && until - now < kLongest) deadline = std::chrono::steady_clock::now() + (until - now);
  return line.Wait(std::move(wish), until <= now, deadline, [this] { committer_.Wake(); });
}

aio::Task<Result<std::optional<QueueWriter::TakenJob>>> QueueWriter::TakeJob(JobKind kind, SteadyTime until) {
  return WaitIn(job_line_, kind, until);
}

aio::Task<Result<std::optional<QueueWriter::TakenMessage>>> QueueWriter::TakeMessage(milliseconds lease,
                                                                                     SteadyTime until) {
  return WaitIn(message_line_, std::min(lease, kLongest), until);
}

aio::Task<Result<void>> QueueWriter::CloseMessage(std::uint64_t number) {
  return Run([this, number](JobStore&) -> Result<void> {
    const auto removed = messages_.Remove(number);
    if (!removed) return std::unexpected(removed.error());
    if (!*removed) return Fail(Errc::kNotFound, fmt::format("there is no message {}", number));
    QueueState::Lower(changes_.state.messages);
    return {};
  });
}

template <class Change>
auto QueueWriter::ChangeDue(std::uint64_t number, milliseconds pause, Change change) {
  return Run([this, number, pause, change](JobStore& jobs) -> Result<void> {
    const auto changed = (messages_.*change)(number, jobs.Now() + std::min(pause, kLongest).count());
    if (!changed) return std::unexpected(changed.error());
    if (!*changed) return Fail(Errc::kNotFound, fmt::format("there is no message {}", number));
    changes_.state.next_message = 0;
    return {};
  });
}

aio::Task<Result<void>> QueueWriter::PostponeMessage(std::uint64_t number, milliseconds pause) {
  return ChangeDue(number, pause, &MessageRows::Postpone);
}

aio::Task<Result<void>> QueueWriter::ReturnMessage(std::uint64_t number, milliseconds pause) {
  return ChangeDue(number, pause, &MessageRows::SetDue);
}

void QueueWriter::ReleaseLater(const Lease& lease) {
  committer_.Post([this, lease] { return jobs_.Release(lease); });
}

void QueueWriter::ReleaseMessageLater(const MessageLease& lease) {
  committer_.Post([this, lease]() -> Result<void> {
    changes_.state.next_message = 0;
    return messages_.Release(lease);
  });
}

bool QueueWriter::HasDueChores() const {
  const SteadyTime now = clock_.SteadyNow();
  if (now < not_before_) return false;
  return jobs_.PausesAreDue() || jobs_.IsTooFull() || leases_.FirstEnd() <= now || look_at_space_ <= now ||
         changes_.doubtful_files() > 0;
}

bool QueueWriter::CanServe() {
  const QueueState& state = changes_.state;
  const auto& waiters = job_line_.Refresh();
  const bool serves_job = std::ranges::any_of(waiters, [&](const auto& waiter) {
    return state.ready_small > 0 || (waiter->wish == JobKind::kAny && state.ready_large > 0);
  });
  return serves_job || (!message_line_.Refresh().empty() && state.messages > 0 && state.next_message <= jobs_.Now());
}

bool QueueWriter::WantsTransaction() {
  const bool serves = CanServe();
  if (serves || HasDueChores()) return true;
  job_line_.TellRest();
  message_line_.TellRest();
  return false;
}

void QueueWriter::Contribute() {
  bool failed = false;
  const auto attempt = [&](auto chore) {
    const auto done = committer_.Attempt(chore);
    if (!done && !chores_fail_ && !failed) log_.Warning("job queue cannot tidy up", {{"why", done.error().what}});
    failed = failed || !done;
  };
  attempt([this] { return jobs_.Reclaim(); });
  if (jobs_.PausesAreDue()) attempt([this] { return jobs_.EndPauses(); });
  ServeJobs();
  ServeMessages();
  if (jobs_.IsTooFull()) attempt([this] { return jobs_.Expire(); });
  if (look_at_space_ <= clock_.SteadyNow()) attempt([this] { return GiveSpaceBack(); });
  if (changes_.doubtful_files() > 0) {
    // The commit must write something to settle what an earlier one may have left in the log.
    attempt([this] {
      return connection_.Execute(
          "INSERT INTO marks VALUES('failures', 1) ON CONFLICT(name) DO UPDATE SET value = value + 1");
    });
  }
  attempt([this] { return jobs_.FindOldest(); });
  chores_fail_ = failed;
  if (failed) not_before_ = clock_.SteadyNow() + kFailurePause;
}

void QueueWriter::ServeJobs() {
  job_line_.Refresh();
  while (!job_line_.IsEmpty()) {
    bool served = false;
    const auto done = committer_.Attempt([&]() -> Result<void> {
      auto one = ServeJob();
      if (!one) return std::unexpected(one.error());
      served = *one;
      return {};
    });
    // Whoever was meant has gone meanwhile: on to the next.
    if (!done && done.error().code == Errc::kCancelled) continue;
    if (!done) return job_line_.FailAll(done.error());
    if (!served) return job_line_.TellRest();
  }
}

std::shared_ptr<QueueWriter::JobLine::Waiter> QueueWriter::NextFor(JobKind job) {
  auto& line = job_line_.Refresh();
  // Whoever takes small jobs only goes first for them: the others may be needed for a large one.
  for (const JobKind wish : {JobKind::kSmall, JobKind::kAny}) {
    if (wish == JobKind::kSmall && job != JobKind::kSmall) continue;
    const auto found = std::ranges::find(line, wish, [](const auto& waiter) { return waiter->wish; });
    if (found == line.end()) continue;
    auto waiter = *found;
    line.erase(found);
    return waiter;
  }
  return nullptr;
}

Result<bool> QueueWriter::ServeJob() {
  const auto heads = jobs_.Peek();
  if (!heads) return std::unexpected(heads.error());
  std::shared_ptr<JobLine::Waiter> waiter;
  std::int64_t seq = 0;
  Lane lane = Lane::kLarge;
  if (heads->large && (!heads->small || *heads->large < *heads->small)) {
    waiter = NextFor(JobKind::kAny);
    seq = *heads->large;
  }
  if (waiter == nullptr && heads->small) {
    waiter = NextFor(JobKind::kSmall);
    seq = *heads->small;
    lane = Lane::kSmall;
  }
  if (waiter == nullptr) return false;
  auto row = jobs_.Take(seq, lane);
  if (!row) {
    waiter->Give(std::unexpected(row.error()));
    return std::unexpected(row.error());
  }
  TakenJob job(*this, *std::move(row));
  if (failing_ || jobs_.IsNew(seq)) {
    held_back_.emplace_back(std::move(waiter), std::move(job));
    return true;
  }
  JobLine::Answer answer(std::in_place, std::move(job));
  if (waiter->Give(std::move(answer))) return true;
  (*answer)->Keep();  // undone with this part
  return Fail(Errc::kCancelled, "the taker has gone");
}

void QueueWriter::ServeMessages() {
  auto& line = message_line_.Refresh();
  while (!line.empty() && changes_.state.messages > 0 && changes_.state.next_message <= jobs_.Now()) {
    if (const auto done = committer_.Attempt([this] { return ServeMessage(); }); !done) {
      return message_line_.FailAll(done.error());
    }
  }
  message_line_.TellRest();
}

Result<void> QueueWriter::ServeMessage() {
  const auto first = messages_.First();
  if (!first) return std::unexpected(first.error());
  changes_.state.next_message = *first ? (*first)->due_at : QueueState::kNever;
  if (changes_.state.next_message > jobs_.Now()) return {};
  const std::uint64_t number = (*first)->number;
  auto delivery = messages_.Read(number);
  if (!delivery) return std::unexpected(delivery.error());
  if (!*delivery) {
    log_.Error("message dropped: it is not what was written", {{"file", connection_.path()}, {"number", number}});
    QueueState::Lower(changes_.state.messages);
    const auto removed = messages_.Remove(number);
    if (!removed) return std::unexpected(removed.error());
    return {};
  }
  auto& line = message_line_.Refresh();
  if (line.empty()) return {};
  const MessageLease lease{
      .number = number, .due_at = (*first)->due_at, .until = jobs_.Now() + line.front()->wish.count()};
  if (auto leased = messages_.SetDue(number, lease.until); !leased) return std::unexpected(leased.error());
  held_messages_.emplace_back(line.front(), TakenMessage(*this, **std::move(delivery), lease));
  line.pop_front();
  return {};
}

Result<void> QueueWriter::GiveSpaceBack() {
  look_at_space_ = SteadyTime::max();
  const auto free = connection_.QueryInteger("PRAGMA freelist_count");
  if (!free) return std::unexpected(free.error());
  const auto pages = connection_.QueryInteger("PRAGMA page_count");
  if (!pages) return std::unexpected(pages.error());
  if (*free < kMostFreePages || *free < *pages / 2) return {};
  look_at_space_ = clock_.SteadyNow() + kStepPause;
  return connection_.Execute("PRAGMA incremental_vacuum(256)");
}

void QueueWriter::OnPartUndone() {
  changes_.UndoPart();
  changes_.state.next_message = 0;
}

void QueueWriter::OnEnd(const Result<void>& committed) {
  if (committed) {
    changes_.Commit();
    if (changes_.state.freed - freed_before_ >= kLookAfter) {
      freed_before_ = changes_.state.freed;
      look_at_space_ = clock_.SteadyNow() + kQuiet;
    }
    {
      std::lock_guard lock(mutex_);
      published_ = changes_.state;
    }
    for (auto& [waiter, job] : held_back_) {
      // When the taker has gone it goes back with its destruction.
      (void)waiter->Give(JobLine::Answer(std::in_place, std::move(job)));
    }
    for (auto& [waiter, message] : held_messages_) {
      (void)waiter->Give(MessageLine::Answer(std::in_place, std::move(message)));
    }
  } else {
    // A full disk stops a commit before its last page is written.
    changes_.UndoAll(committed.error().code == Errc::kOverloaded);
    changes_.state.next_message = 0;
    not_before_ = clock_.SteadyNow() + kFailurePause;
    // Before those that were served hear of it: what they ask for next is not part of this failure.
    job_line_.Refresh();
    job_line_.FailAll(committed.error());
    message_line_.Refresh();
    message_line_.FailAll(committed.error());
    for (auto& [waiter, job] : held_back_) {
      job.Keep();
      waiter->Give(std::unexpected(committed.error()));
    }
    for (auto& [waiter, message] : held_messages_) {
      (void)std::move(message).Keep();
      waiter->Give(std::unexpected(committed.error()));
    }
  }
  held_back_.clear();
  held_messages_.clear();
  Report(committed);
}

void QueueWriter::Report(const Result<void>& committed) {
  if (committed) {
    // One that had nothing to write says nothing.
    if (std::exchange(commits_before_, connection_.WalCommits()) == connection_.WalCommits()) return;
    if (std::exchange(failing_, false)) log_.Info("job queue writes again", {{"file", connection_.path()}});
  } else if (!std::exchange(failing_, true)) {
    log_.Error("job queue cannot write", {{"why", committed.error().what}});
  }
}

SteadyTime QueueWriter::NextTurn() {
  const QueueState& state = changes_.state;
  SteadyTime next = std::min(leases_.FirstEnd(), look_at_space_);
  if (state.paused > 0) next = std::min(next, SteadyAt(state.next_pause_end));
  if (state.next_expiry != QueueState::kNever) next = std::min(next, SteadyAt(state.next_expiry));
  if (jobs_.IsTooFull()) next = std::min(next, clock_.SteadyNow() + kStepPause);
  if (changes_.doubtful_files() > 0) next = clock_.SteadyNow();
  if (!message_line_.IsEmpty() && state.messages > 0 && state.next_message != QueueState::kNever) {
    next = std::min(next, SteadyAt(state.next_message));
  }
  return std::max(next, not_before_);
}

}  // namespace lazaret::embedded
