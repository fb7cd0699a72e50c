#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "core/verdict_cache.h"
#include "embedded/reader_pool.h"
#include "embedded/verdict_writer.h"

namespace lazaret::embedded {

// The verdict cache in one SQLite file (WAL mode): what was stored survives kill -9, and a power cut may cost the last
// moments but never the file. A row is believed only while its check is right, so a flipped bit is kCorrupt and never
// a verdict; the next Store repairs it.
//
// Bounded: at most `max_entries` rows; past that about 1 % of them go, the least recently used (by hour) first.
// Expired rows go in small steps. The file does not shrink; the WAL is kept near 12 MiB and cut to 16 MiB.
class SqliteVerdictCache final : public VerdictCache {
 public:
  struct Settings {
    std::string path;  // of the file; "-wal" and "-shm" lie beside it
    std::size_t max_entries = 1'000'000;
    CachePolicy policy{};
    std::size_t max_queued = 10'000;  // verdicts that wait for their commit
    std::size_t readers = 2;          // threads, each with a connection of its own
  };
  struct Stats {
    std::uint64_t entries;  // rows, expired ones too
    std::uint64_t writes;
    std::uint64_t write_groups;  // transactions that those writes took
    std::uint64_t evicted;
    std::uint64_t corrupt_rows;  // how often one was met
  };

  // Blocks on the disk. A damaged file is moved aside as "<path>.corrupt-<time>" and logged; a newer Lazaret's file and
  // a directory that cannot be written are errors that say what to do. `clock` and `log` must outlive the cache.
  static Result<std::unique_ptr<SqliteVerdictCache>> Open(Settings settings, const Clock& clock, Log& log);
  // Writes what is queued and closes the file. Nobody may be waiting on Find or Store any more when an executor goes.
  ~SqliteVerdictCache() override;

  aio::Task<Result<VerdictPtr>> Find(Digest digest) override;
  // Resumes once the verdict's group is committed. kOverloaded at once when too many wait; kTooLarge for a verdict of
  // more than 256 KiB. May be cancelled while it waits; the verdict is then stored all the same.
  aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) override;

  // Notes that the entry is in use although nobody calls Find, so that it is not evicted. Any thread; never waits for
  // the disk; best effort.
  void Touch(const Digest& digest) { writer_->Touch(digest); }

  Stats stats() const;

 private:
  struct Reader {
    SqliteConnection connection;
    VerdictReader verdicts;
  };
  SqliteVerdictCache(Settings settings, const Clock& clock, Log& log);
  Result<VerdictPtr> FindNow(Reader& reader, const Digest& digest);

  const Settings settings_;
  const Clock& clock_;
  Log& log_;
  EngineCache engines_;
  std::unique_ptr<SqliteConnection> write_connection_;
  std::unique_ptr<VerdictWriter> writer_;
  std::atomic<std::uint64_t> corrupt_rows_ = 0;
  std::unique_ptr<ReaderPool<Reader>> readers_;
};

}  // namespace lazaret::embedded
