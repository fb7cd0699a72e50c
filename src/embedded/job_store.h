#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "embedded/job_rows.h"
#include "embedded/message_rows.h"
#include "embedded/queue_changes.h"

namespace lazaret::embedded {

// A content that is to become a job.
struct Submission {
  ContentPtr content;
  // Where the bytes are: here, or in the file. Neither when the job is believed to be there already.
  std::optional<Bytes> bytes;
  std::shared_ptr<ContentFiles::Pending> file;
  std::optional<Callback> callback;
};

// A job that has just been leased.
struct TakenRow {
  JobRow row;
  Lease lease;
  std::string bytes;  // when the content lies in the database
};

// Whether a queue in this state takes a content of `size` bytes: JobQueue::CheckRoom.
Result<void> CheckRoom(const QueueState& state, const JobPolicy& policy, std::uint64_t size);

// The rules of the queue, on its rows and on what is known of them in memory. Every method but the constructor's is
// called within a transaction, on the write thread; after an error the rows must be rolled back and the changes undone.
class JobStore {
 public:
  // All references must outlive it.
  JobStore(JobRows rows, MessageRows& messages, QueueChanges& changes, const JobLeases& leases, JobPolicy policy,
           std::uint64_t max_messages, const Clock& clock);

  // Once, first: counts what is there and ends the leases of the process before. `connection` is that of the rows. How
  // many leases there were.
  Result<std::uint64_t> Recover(SqliteConnection& connection);

  // Empty when the job is not there and the submission brings no bytes.
  Result<std::optional<Submitted>> Submit(const Submission& submission);
  // These six: see JobQueue.
  Result<void> Finish(const Lease& lease, Bytes verdict, JobState end);
  Result<void> Retry(const Lease& lease, milliseconds pause, const std::string& why);
  Result<void> Release(const Lease& lease);
  Result<void> Revive(const Digest& id);
  Result<void> Drop(const Digest& id);
  // A message for which there is no job: Outbox::Add.
  Result<void> AddMessage(const Digest& id, const Callback& callback, Bytes verdict);

  // The first job that may begin in each lane.
  struct Heads {
    std::optional<std::int64_t> small, large;
  };
  Result<Heads> Peek();
  Result<TakenRow> Take(std::int64_t seq, Lane from);
  // Whether the job was submitted in this very transaction.
  bool IsNew(std::int64_t seq) const { return seq >= changes_.state.first_new; }

  // Jobs whose leases are over count as lost and may begin again.
  Result<void> Reclaim();
  // One step of ending pauses that are over. Again while PausesAreDue.
  Result<void> EndPauses();
  bool PausesAreDue() const { return changes_.state.paused > 0 && changes_.state.next_pause_end <= Now(); }
  // One small step of forgetting what has been kept long enough or is too much. Again while IsTooFull.
  Result<void> Expire();
  bool IsTooFull() const;
  // For the counts.
  Result<void> FindOldest();

  std::int64_t Now() const { return clock_.Now().time_since_epoch().count(); }

 private:
  Lane LaneOf(std::uint64_t size) const { return size <= policy_.small_size ? Lane::kSmall : Lane::kLarge; }
  std::uint64_t& Counter(Lane lane);
  std::uint64_t& Counter(JobState finished) {
    return finished == JobState::kDone ? changes_.state.done : changes_.state.dead;
  }
  std::int64_t KeepTime(JobState finished) const;
  bool IsExpired(const JobRow& row) const;
  // kNotFound unless the lease holds.
  Result<JobRow> FindLeased(const Lease& lease);
  // The row, unless it has expired.
  Result<std::optional<JobRow>> FindCurrent(const Digest& id);
  Result<std::int64_t> Insert(const Digest& id, std::uint64_t size, ContentPlace place, std::uint64_t file);
  Result<void> AddCallback(const Digest& id, const Callback& callback);
  Result<void> CheckMessages() const;
  // Of a leased job.
  Result<void> Requeue(const JobRow& row, milliseconds pause);
  // Of a job that is being finished or removed: the row keeps saying where it was.
  Result<void> RemoveContent(const JobRow& row);
  Result<void> Remove(const JobRow& row);
  Result<void> RemoveEnded(JobState state, std::int64_t until, std::size_t limit);
  Result<void> TrimDead();

  JobRows rows_;
  MessageRows& messages_;
  QueueChanges& changes_;
  const JobLeases& leases_;
  const JobPolicy policy_;
  const std::uint64_t max_messages_;
  const Clock& clock_;
  std::uint64_t next_token_ = 0;
};

}  // namespace lazaret::embedded
