#include "embedded/queue_database.h"

#include <fcntl.h>

#include <fmt/format.h>

#include <optional>

#include "base/unique_fd.h"
#include "embedded/database_file.h"

namespace lazaret::embedded {
namespace {

constexpr std::chrono::seconds kBusyTime{5};
constexpr off_t kLogBytes = 16 << 20;  // journal_size_limit

// FULL: a commit is on the disk when it returns. The log is checkpointed by the committer, between commits.
constexpr const char* kConfigure =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;"
    "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY";

// The order of jobs is `seq`; one that begins again gets a new one. The indexes hold only rows that their question is
// about, so that finished jobs cost the queued ones nothing.
// A message's number is never used again: whoever closes one late must not close another.
constexpr const char* kSchema =
    "CREATE TABLE jobs("
    " seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, state INTEGER NOT NULL, lane INTEGER, size INTEGER NOT NULL,"
    " submitted_at INTEGER NOT NULL, attempts INTEGER NOT NULL, lost INTEGER NOT NULL, note TEXT NOT NULL,"
    " content INTEGER NOT NULL, file INTEGER, token INTEGER, available_at INTEGER, finished_at INTEGER, verdict BLOB)"
    " STRICT;"
    "CREATE INDEX jobs_by_lane ON jobs(lane, seq, size) WHERE lane IS NOT NULL;"
    "CREATE INDEX jobs_by_pause ON jobs(available_at) WHERE available_at IS NOT NULL;"
    "CREATE INDEX jobs_by_end ON jobs(state, finished_at) WHERE finished_at IS NOT NULL;"
    "CREATE INDEX jobs_kept ON jobs(finished_at) WHERE state = 4 AND content <> 0;"
    // Apart from the jobs, whose rows stay small.
    "CREATE TABLE contents(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE callbacks("
    " number INTEGER PRIMARY KEY, id BLOB NOT NULL, url TEXT NOT NULL, name TEXT NOT NULL,"
    " UNIQUE(id, url, name)) STRICT;"
    "CREATE TABLE messages("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, id BLOB NOT NULL, url TEXT NOT NULL,"
    " name TEXT NOT NULL, verdict BLOB NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX messages_by_due ON messages(due_at);"
    "CREATE TABLE marks(name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID";

constexpr DatabaseFormat kFormat{.holds = "job queue",
                                 .application_id = 0x4C5A5155,  // "LZQU"
                                 .version = kQueueSchemaVersion,
                                 .schema = kSchema,
                                 .newer_cure = "configure another path for the job queue"};

Error Damaged(const std::string& path, const std::string& why) {
  return {
      Errc::kCorrupt,
      fmt::format("the job queue {} is damaged ({}); it holds jobs that were accepted: check the disk, then restore "
                  "the file from a backup or with the sqlite3 command .recover, or move it and its -wal away to "
                  "start without those jobs",
                  path, why)};
}

Result<void> Prepare(SqliteConnection& connection) {
  // Before the first table, or it has no effect.
  if (auto set = connection.Execute("PRAGMA auto_vacuum=INCREMENTAL"); !set) return set;
  if (auto configured = connection.Execute(kConfigure); !configured) return configured;
  if (auto begun = connection.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  if (auto made = MakeTables(connection, kFormat); !made) return made;
  // Files that were made before this index lack it.
  if (auto made = connection.Execute("CREATE INDEX IF NOT EXISTS messages_by_id ON messages(id)"); !made) return made;
  return connection.Execute("COMMIT");
}

}  // namespace

Result<SqliteConnection> OpenQueueDatabase(const std::filesystem::path& path) {
  const std::string& name = path.native();
  const auto explain = [&](const Error& error) -> std::unexpected<Error> {
    return std::unexpected(error.code == Errc::kCorrupt ? Damaged(name, error.what) : error);
  };
  if (auto writable = CheckDirectoryOf(name, kFormat); !writable) return std::unexpected(writable.error());
  auto connection = SqliteConnection::Open(name, kBusyTime);
  if (!connection) return explain(connection.error());
  const auto found = Examine(*connection, kFormat);
  if (!found) return explain(found.error());
  if (*found) return std::unexpected(Damaged(name, **found));
  if (auto prepared = Prepare(*connection); !prepared) return explain(prepared.error());
  return connection;
}

Result<SqliteConnection> OpenQueueReader(const std::filesystem::path& path) {
  auto connection = SqliteConnection::Open(path.native(), kBusyTime);
  if (!connection) return connection;
  if (auto set = connection->Execute("PRAGMA query_only=ON; PRAGMA cache_size=-8192"); !set) {
    return std::unexpected(set.error());
  }
  return connection;
}

void ReserveQueueLog(const std::filesystem::path& path) {
  // SQLite holds no locks on this file that the close of another descriptor would end (fcntl(2)).
  const UniqueFd log(::open((path.native() + "-wal").c_str(), O_RDWR | O_CLOEXEC));
  if (log) (void)::fallocate(log.Get(), FALLOC_FL_KEEP_SIZE, 0, kLogBytes);
}

}  // namespace lazaret::embedded
