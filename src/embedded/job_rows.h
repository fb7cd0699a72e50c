#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/job_queue.h"
#include "embedded/queue_database.h"

namespace lazaret::embedded {

// What the rules of the queue need to know of a row of table `jobs`.
struct JobRow {
  std::int64_t seq;
  Digest id;
  JobState state;
  std::optional<Lane> lane;
  std::uint64_t size;
  std::uint32_t attempts;
  std::uint32_t lost;
  ContentPlace place;
  std::uint64_t file;  // its number, when it is in one
  std::optional<std::int64_t> token;
  std::optional<std::int64_t> finished_at;
};

// The statements of the one writer on jobs and their contents. Times are ms since 1970, wall clock. Used by one thread.
class JobRows {
 public:
  // `connection` must outlive it.
  static Result<JobRows> Prepare(SqliteConnection& connection);

  Result<std::optional<JobRow>> Find(const Digest& id);
  // The number of the row.
  Result<std::int64_t> Insert(const Digest& id, Lane lane, std::uint64_t size, std::int64_t now, ContentPlace place,
                              std::uint64_t file);
  // Leaves the content alone.
  Result<void> Remove(std::int64_t seq);
  Result<void> InsertContent(std::int64_t seq, Bytes bytes);
  Result<std::string> ReadContent(std::int64_t seq);
  Result<void> RemoveContent(std::int64_t seq);
  // A dead letter's content gets the number of the job that goes on with it.
  Result<void> MoveContent(std::int64_t from, std::int64_t to);

  // The first job of a lane.
  struct Head {
    std::int64_t seq;
    std::int64_t submitted_at;
  };
  Result<std::optional<Head>> First(Lane lane);
  Result<JobRow> Lease(std::int64_t seq, std::uint64_t token);
  Result<void> Queue(std::int64_t seq, Lane lane, std::optional<std::int64_t> available_at);
  Result<void> CountAttempt(std::int64_t seq, const std::string& note);
  Result<void> CountLost(std::int64_t seq);
  Result<void> Finish(std::int64_t seq, JobState end, std::int64_t now, Bytes verdict);
  // The row's content is gone.
  Result<void> ForgetContent(std::int64_t seq);

  // Ends at most `limit` pauses that are over by `now`, the oldest end first. How many jobs up to `small_size` bytes
  // and how many larger ones may begin.
  struct EndedPauses {
    std::uint64_t small = 0;
    std::uint64_t large = 0;
  };
  Result<EndedPauses> EndPauses(std::int64_t now, std::uint64_t small_size, std::size_t limit);
  Result<std::optional<std::int64_t>> FirstPauseEnd();
  // At most `limit` jobs in this finished state that ended up to `until`, the oldest end first.
  Result<std::vector<JobRow>> Ended(JobState state, std::int64_t until, std::size_t limit);
  // The oldest dead letter that keeps its content.
  Result<std::optional<JobRow>> FirstKept();

 private:
  JobRows(SqliteConnection& connection, std::vector<SqliteStatement> statements)
      : connection_(&connection), statements_(std::move(statements)) {}

  SqliteConnection* connection_;
  std::vector<SqliteStatement> statements_;
};

// Reads jobs for people, through any connection. Used by one thread at a time.
class JobReader {
 public:
  static Result<JobReader> Prepare(SqliteConnection& connection);
  // Expired jobs are returned. kCorrupt when the row is not what was written.
  Result<std::optional<Job>> Find(const Digest& id);
  // A job whose verdict is damaged has none, and a note that says so.
  Result<std::vector<Job>> List(const JobFilter& filter);
  // SQLite found the file itself, not just a row's content, to be damaged.
  bool FoundDamage() const { return found_damage_; }

 private:
  explicit JobReader(std::vector<SqliteStatement> statements) : statements_(std::move(statements)) {}
  Result<bool> Step(SqliteRun& run);

  std::vector<SqliteStatement> statements_;
  bool found_damage_ = false;
};

}  // namespace lazaret::embedded
