#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "aio/broadcast.h"
#include "base/log.h"
#include "core/verdict_cache.h"
#include "embedded/verdict_row.h"

namespace lazaret::embedded {

// The one thread that writes a verdict database: everything that was queued while it wrote goes into its next
// transaction, and so does what keeps the file small (expired rows, least recently used rows) and current (uses).
class VerdictWriter {
 public:
  struct Limits {
    std::size_t max_entries;
    std::size_t max_queued;  // verdicts that wait for their commit
  };
  struct Counts {
    std::atomic<std::uint64_t> entries, writes, groups, evicted;
  };
  // Verdicts that are committed together; `committed` is set once they are, or are not.
  struct Group {
    std::vector<std::pair<Digest, VerdictPtr>> verdicts;
    aio::Broadcast<Result<void>> committed;
  };

  // Starts the thread. The references must outlive the writer; `connection` is its alone.
  static Result<std::unique_ptr<VerdictWriter>> Start(SqliteConnection& connection, EngineCache& engines,
                                                      CachePolicy policy, Limits limits, const Clock& clock, Log& log);
  ~VerdictWriter() { Finish(); }
  // Writes what is queued and ends the thread. Nobody may use the writer meanwhile or later.
  void Finish();

  // The group that the verdict will be committed with. kOverloaded when the queue is full. Any thread.
  Result<std::shared_ptr<Group>> Add(const Digest& digest, VerdictPtr verdict);
  // Notes that the entry is in use. Best effort: written with the next group or about a second later. Any thread.
  void Touch(const Digest& digest);

  const Counts& counts() const { return counts_; }
  // SQLite found the file itself to be damaged; for good after Finish.
  bool FoundDamage() const { return found_damage_; }

 private:
  struct Statements {
    SqliteStatement insert, replace, put_engine, touch, expire, oldest, remove;
  };
  static Result<Statements> PrepareStatements(SqliteConnection& connection);

  VerdictWriter(SqliteConnection& connection, VerdictReader reader, Statements statements, CachePolicy policy,
                Limits limits, const Clock& clock, Log& log);

  void Run();
  Result<void> Write(const Group* group, const std::vector<Digest>& used);
  Result<void> WriteInTransaction(const Group* group, const std::vector<Digest>& used);
  Result<void> Put(const Digest& digest, const Verdict& verdict);
  Result<void> MarkUsed(const Digest& digest);
  Result<void> RemoveExpired();
  Result<void> Evict(std::size_t rows, const Group& keep);
  Result<StoredEngine> EngineOf(const EngineInfoPtr& info);
  void Report(const Result<void>& result);
  std::int64_t CurrentHour() const { return HourOf(clock_.Now()); }

  SqliteConnection& connection_;
  VerdictReader reader_;
  Statements statements_;
  const CachePolicy policy_;
  const Limits limits_;
  const Clock& clock_;
  Log& log_;
  Counts counts_{};
  std::atomic<bool> found_damage_ = false;

  // The writer thread's own.
  Sha256 hasher_;
  std::unordered_map<Digest, StoredEngine, DigestHash> engines_;  // by identity
  std::optional<StoredEngine> last_engine_;
  std::int64_t entries_ = 0;  // in the current transaction
  std::uint64_t evicted_ = 0;
  SteadyTime next_expiry_{};
  bool more_expired_ = false;
  bool failing_ = false;

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Group>> groups_;
  std::size_t queued_ = 0;  // verdicts in groups_ and in the group that is being written
  std::vector<Digest> used_;
  bool stopping_ = false;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace lazaret::embedded
