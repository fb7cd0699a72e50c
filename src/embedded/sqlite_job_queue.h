#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "aio/blocking_pool.h"
#include "base/log.h"
#include "core/job_queue.h"
#include "core/outbox.h"

namespace lazaret::embedded {

// The job queue and its outbox in one SQLite file (WAL mode, every commit synced) and, for large contents, files beside
// it. Whatever waits while one group of changes is being synced is committed with the next.
//
// Bounded by its policy and by `max_messages`. The file's freed pages are used again, and given back when they are most
// of it; the WAL is kept near 16 MiB. Nothing is ever moved aside or thrown away because it is damaged: the file holds
// promises.
class SqliteJobQueue final : public JobQueue, public Outbox {
 public:
  struct Settings {
    std::filesystem::path file;       // "-wal" and "-shm" lie beside it
    std::filesystem::path directory;  // of large contents, and of nothing else; made when missing
    JobPolicy policy{};
    std::uint64_t inline_bytes = 64 * 1024;  // contents up to this many bytes lie in the database
    std::uint64_t max_messages = 1'000'000;  // callbacks that wait for a job or for their delivery
    std::size_t max_queued = 10'000;         // submits that wait for their commit
    std::size_t readers = 2;                 // threads for Find and List, each with a connection of its own
  };

  // Blocks on the disk. Jobs that were leased count a lost lease and may begin again at once; content files that belong
  // to no job are deleted. A damaged file, another program's, a newer Lazaret's, and a directory that cannot be written
  // are errors that name the file, the cause and the cure. One process at a time may have the file open.
  // `pool` does what blocks on content files; it, `clock` and `log` must outlive the queue, `pool` also the contents.
  static Result<std::unique_ptr<SqliteJobQueue>> Open(Settings settings, aio::BlockingPool& pool, const Clock& clock,
                                                      Log& log);
  // Writes what is queued and closes the file. No task may be in one of the methods any more.
  ~SqliteJobQueue() override;

  // Once the file was found to be damaged: kCorrupt, for good. kTooLarge for more than max_bytes.
  Result<void> CheckRoom(std::uint64_t size) const override;
  // Resumes when the job is on the disk. May be cancelled while it waits; the job may be there all the same.
  aio::Task<Result<Submitted>> Submit(ContentPtr content, std::optional<Callback> callback) override;
  aio::Task<Result<std::optional<Job>>> Find(Digest id) override;
  // Times are those of the clock. May be cancelled at any time: a job that was taken for it goes back to its place.
  aio::Task<Result<std::optional<LeasedJob>>> Take(JobKind kind, SteadyTime until) override;
  aio::Task<Result<void>> Renew(Lease lease) override;
  aio::Task<Result<void>> Finish(Lease lease, VerdictPtr verdict, JobState end) override;
  aio::Task<Result<void>> Retry(Lease lease, milliseconds pause, std::string why) override;
  aio::Task<Result<void>> Release(Lease lease) override;
  JobCounts Counts() const override;
  aio::Task<Result<std::vector<Job>>> List(JobFilter filter) override;
  aio::Task<Result<void>> Revive(Digest id) override;
  aio::Task<Result<void>> Drop(Digest id) override;

  aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) override;
  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds lease, SteadyTime until) override;
  aio::Task<Result<void>> Close(std::uint64_t number) override;
  aio::Task<Result<void>> Postpone(std::uint64_t number, milliseconds pause) override;
  aio::Task<Result<void>> Return(std::uint64_t number, milliseconds pause) override;
  std::uint64_t waiting() const override;

  struct Stats {
    std::uint64_t writes;        // changes that were committed
    std::uint64_t write_groups;  // transactions that they took
  };
  Stats stats() const;

 private:
  struct Impl;
  explicit SqliteJobQueue(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lazaret::embedded
