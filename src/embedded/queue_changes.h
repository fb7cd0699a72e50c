#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/job_queue.h"
#include "embedded/content_files.h"
#include "embedded/lease_table.h"

namespace lazaret::embedded {

using JobLeases = LeaseTable<Digest, DigestHash>;

// What is known of a queue without asking the disk. Wall times are ms since 1970.
struct QueueState {
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  std::uint64_t ready_small = 0;
  std::uint64_t ready_large = 0;
  std::uint64_t paused = 0;
  std::uint64_t leased = 0;
  std::uint64_t done = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;             // of contents of unfinished jobs
  std::uint64_t dead_bytes = 0;        // of contents that dead letters keep
  std::uint64_t callbacks = 0;         // that wait for their job
  std::uint64_t messages = 0;          // that are due or postponed
  std::uint64_t freed = 0;             // bytes of contents that went from the database, ever
  std::optional<std::int64_t> oldest;  // submit of the oldest unfinished job
  std::int64_t first_new = kNever;     // jobs from this number on are not committed yet
  std::int64_t next_pause_end = kNever;
  std::int64_t next_expiry = kNever;
  std::int64_t next_message = 0;  // none is due before

  std::uint64_t unfinished() const { return ready_small + ready_large + paused + leased; }
  // Down to zero at most: an edited row must not make a counter that refuses everything.
  static void Lower(std::uint64_t& counter, std::uint64_t by = 1) { counter -= std::min(counter, by); }
};

// What a transaction in progress changes beside the rows, to be undone, or to take effect, together with them.
class QueueChanges {
 public:
  // `leases` and `files` must outlive it.
  QueueChanges(JobLeases& leases, const ContentFiles& files) : leases_(leases), files_(files) {}

  QueueState state;

  // A row refers to the file now.
  void Adopt(std::shared_ptr<ContentFiles::Pending> file) { adopted_.push_back(std::move(file)); }
  // No row refers to it any more.
  void RemoveFile(const ContentFileName& name) { removed_.push_back(name); }
  // Holds at once, so that its end is watched from the beginning. Undone, the lease that it replaced is there again.
  void GrantLease(const Lease& lease, SteadyTime until) {
    granted_.push_back({lease, leases_.Grant(lease.id, lease.token, until)});
  }
  void EndLease(const Lease& lease) { ended_.push_back(lease); }

  void Begin() {
    state.first_new = QueueState::kNever;
    before_ = part_ = Mark();
  }
  void BeginPart() { part_ = Mark(); }
  void UndoPart() { UndoTo(part_); }
  void Commit();
  // `surely` unless the rows may come back when the file is opened again: then files that they refer to are kept until
  // a later commit has overwritten them.
  void UndoAll(bool surely);
  // Files whose fate the next commit decides, if it writes anything.
  std::size_t doubtful_files() const { return doubtful_.size(); }

 private:
  struct Granted {
    Lease lease;
    std::optional<JobLeases::Held> replaced;
  };
  struct Marks {
    QueueState state;
    std::size_t adopted, removed, granted, ended;
  };
  Marks Mark() const { return {state, adopted_.size(), removed_.size(), granted_.size(), ended_.size()}; }
  void UndoTo(const Marks& marks);

  JobLeases& leases_;
  const ContentFiles& files_;
  Marks before_{};
  Marks part_{};
  std::vector<std::shared_ptr<ContentFiles::Pending>> adopted_;
  std::vector<ContentFileName> removed_;
  std::vector<Granted> granted_;
  std::vector<Lease> ended_;
  std::vector<std::shared_ptr<ContentFiles::Pending>> doubtful_;
};

}  // namespace lazaret::embedded
