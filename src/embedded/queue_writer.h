#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/outbox.h"
#include "embedded/group_committer.h"
#include "embedded/job_store.h"
#include "embedded/waiting_line.h"

namespace lazaret::embedded {

// The write thread of a queue: it carries out the changes that are asked for, gives jobs and messages to those who wait
// for them, and forgets what has been kept long enough. It sleeps while there is nothing of that.
class QueueWriter final : private TransactionParticipant {
 public:
  struct Settings {
    JobPolicy policy;
    std::uint64_t max_messages;
    std::size_t max_queued;
  };
  // A job that was taken: goes back to its place unless somebody keeps it.
  class TakenJob {
   public:
    TakenJob(QueueWriter& writer, TakenRow row) : writer_(&writer), row_(std::move(row)) {}
    TakenJob(TakenJob&& other) noexcept : writer_(std::exchange(other.writer_, nullptr)), row_(std::move(other.row_)) {}
    TakenJob& operator=(TakenJob&&) = delete;
    ~TakenJob() {
      if (writer_ != nullptr) writer_->ReleaseLater(row_.lease);
    }
    void Keep() { writer_ = nullptr; }
    TakenRow& operator*() { return row_; }
    TakenRow* operator->() { return &row_; }

   private:
    QueueWriter* writer_;
    TakenRow row_;
  };
  // Likewise a message.
  class TakenMessage {
   public:
    TakenMessage(QueueWriter& writer, Delivery delivery, const MessageLease& lease)
        : writer_(&writer), delivery_(std::move(delivery)), lease_(lease) {}
    TakenMessage(TakenMessage&& other) noexcept
        : writer_(std::exchange(other.writer_, nullptr)), delivery_(std::move(other.delivery_)), lease_(other.lease_) {}
    TakenMessage& operator=(TakenMessage&&) = delete;
    ~TakenMessage() {
      if (writer_ != nullptr) writer_->ReleaseMessageLater(lease_);
    }
    Delivery Keep() && {
      writer_ = nullptr;
      return std::move(delivery_);
    }

   private:
    QueueWriter* writer_;
    Delivery delivery_;
    MessageLease lease_;
  };

  // Ends the leases of the process before, deletes content files that no job refers to, and starts the thread. All
  // references must outlive the writer; the connection is its alone. Blocks.
  static Result<std::unique_ptr<QueueWriter>> Start(SqliteConnection& connection, const ContentFiles& files,
                                                    Settings settings, const Clock& clock, Log& log);
  ~QueueWriter() override { Finish(); }
  void Finish() { committer_.Finish(); }

  // Carries `change`, a function of (JobStore&), out; resumes when that is on the disk. See GroupCommitter::Run.
  template <class Change>
  auto Run(Change change, GroupCommitter::Admission admission = GroupCommitter::Admission::kAlways,
           std::size_t bytes = 0) {
    return committer_.Run([this, change = std::move(change)]() mutable { return change(jobs_); }, admission, bytes);
  }
  // The next job of this kind, which is on the disk. Its lease may reach the disk a moment later: what a crash in
  // between loses is only that there was a lease, and the job is queued still. A writer that could not write lately
  // waits for the disk, lest jobs are begun over and over that can never be finished.
  aio::Task<Result<std::optional<TakenJob>>> TakeJob(JobKind kind, SteadyTime until);
  // The next message that is due, once its lease is on the disk: a message is never posted over and over because
  // nothing can be written about it.
  aio::Task<Result<std::optional<TakenMessage>>> TakeMessage(milliseconds lease, SteadyTime until);
  aio::Task<Result<void>> CloseMessage(std::uint64_t number);
  aio::Task<Result<void>> PostponeMessage(std::uint64_t number, milliseconds pause);
  aio::Task<Result<void>> ReturnMessage(std::uint64_t number, milliseconds pause);

  // Nothing of a lease but that it exists is on the disk: every lease ends with the process anyway.
  bool Renew(const Lease& lease) { return leases_.Renew(lease.id, lease.token, LeaseEnd()); }
  bool IsLeased(const Digest& id) const { return leases_.Has(id); }

  // As of the last commit. Any thread.
  QueueState state() const;
  // An error once the file was found to be damaged. Any thread.
  Result<void> CheckDamage() const;
  void ReportDamage(const Error& error) { OnDamage(error); }
  GroupCommitter::Counts counts() const { return committer_.counts(); }

 private:
  using JobLine = WaitingLine<TakenJob, JobKind>;
  using MessageLine = WaitingLine<TakenMessage, milliseconds>;

  QueueWriter(SqliteConnection& connection, const ContentFiles& files, Settings settings, MessageRows messages,
              JobRows jobs, const Clock& clock, Log& log);
  Result<void> Recover(const ContentFiles& files, JobRows& rows);

  bool WantsTransaction() override;
  void OnBegin() override { changes_.Begin(); }
  void OnPart() override { changes_.BeginPart(); }
  void OnPartUndone() override;
  void Contribute() override;
  void OnEnd(const Result<void>& committed) override;
  void OnDamage(const Error& error) override;
  SteadyTime NextTurn() override;

  bool HasDueChores() const;
  bool CanServe();
  void ServeJobs();
  // Takes the job for somebody in line; false when there is nobody for it.
  Result<bool> ServeJob();
  std::shared_ptr<JobLine::Waiter> NextFor(JobKind job);
  void ServeMessages();
  Result<void> ServeMessage();
  Result<void> GiveSpaceBack();
  template <class Change>
  auto ChangeDue(std::uint64_t number, milliseconds pause, Change change);
  void ReleaseLater(const Lease& lease);
  void ReleaseMessageLater(const MessageLease& lease);
  SteadyTime LeaseEnd() const;
  SteadyTime SteadyAt(std::int64_t wall) const;
  template <class Line, class Wish>
  auto WaitIn(Line& line, Wish wish, SteadyTime until);
  void Report(const Result<void>& committed);

  SqliteConnection& connection_;
  const Settings settings_;
  const Clock& clock_;
  Log& log_;
  JobLeases leases_;
  MessageRows messages_;
  QueueChanges changes_;
  JobStore jobs_;

  JobLine job_line_;
  MessageLine message_line_;
  // The write thread's own.
  std::vector<std::pair<std::shared_ptr<JobLine::Waiter>, TakenJob>> held_back_;              // until the commit
  std::vector<std::pair<std::shared_ptr<MessageLine::Waiter>, TakenMessage>> held_messages_;  // likewise
  bool failing_ = false;
  std::int64_t commits_before_ = 0;
  bool chores_fail_ = false;
  SteadyTime not_before_ = SteadyTime::min();  // when it may try again by itself
  std::uint64_t freed_before_ = 0;
  SteadyTime look_at_space_ = SteadyTime::max();

  mutable std::mutex mutex_;
  QueueState published_;
  std::optional<Error> damage_;
  GroupCommitter committer_;  // last: its thread uses everything above
};

}  // namespace lazaret::embedded
