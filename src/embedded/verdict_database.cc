#include "embedded/verdict_database.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "embedded/database_file.h"

namespace lazaret::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kBusyTime{5};

// No auto_vacuum: freed pages are used again, so the file never outgrows what max_entries rows once took. A file that
// is too large after max_entries was lowered may simply be deleted.
// NORMAL: a commit is not synced, so a power cut may lose the last ones; the file stays whole.
constexpr const char* kConfigure =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=16777216;"
    "PRAGMA wal_autocheckpoint=3000; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY";

constexpr const char* kSchema =
    "CREATE TABLE engines("
    " id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE, signature_set BLOB NOT NULL, profile BLOB NOT NULL,"
    " name TEXT NOT NULL, version TEXT NOT NULL, label TEXT NOT NULL, built_at INTEGER,"
    " signatures INTEGER NOT NULL, test_set INTEGER NOT NULL) STRICT;"
    "CREATE TABLE verdicts("
    " digest BLOB NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, reason INTEGER NOT NULL, signatures BLOB NOT NULL,"
    " detail TEXT NOT NULL, size INTEGER NOT NULL, scanned_at INTEGER NOT NULL, scan_ms REAL NOT NULL,"
    " engine_id INTEGER NOT NULL, expires_at INTEGER NOT NULL, last_used INTEGER NOT NULL,"
    " \"check\" BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX verdicts_by_use ON verdicts(last_used, scanned_at);"
    "CREATE INDEX verdicts_by_expiry ON verdicts(expires_at)";

constexpr DatabaseFormat kFormat{.holds = "verdict cache",
                                 .application_id = 0x4C5A5643,  // "LZVC"
                                 .version = kVerdictSchemaVersion,
                                 .schema = kSchema,
                                 .newer_cure = "delete the file: it is only a cache"};

// Engines that no verdict refers to any more: a few a day, so they are looked for only when many have gathered.
constexpr const char* kForgetEngines =
    "DELETE FROM engines WHERE (SELECT count(*) FROM engines) > 1000"
    " AND id NOT IN (SELECT engine_id FROM verdicts)";

Result<void> Prepare(SqliteConnection& connection) {
  if (auto configured = connection.Execute(kConfigure); !configured) return configured;
  if (auto begun = connection.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  if (auto made = MakeTables(connection, kFormat); !made) return made;
  if (auto forgotten = connection.Execute(kForgetEngines); !forgotten) return forgotten;
  return connection.Execute("COMMIT");
}

}  // namespace

Result<SqliteConnection> OpenVerdictDatabase(const std::string& path, const Clock& clock, Log& log) {
  if (auto writable = CheckDirectoryOf(path, kFormat); !writable) return std::unexpected(writable.error());
  // The second turn starts with no file.
  for (int turn = 0; turn < 2; ++turn) {
    std::string damage;
    {
      auto connection = SqliteConnection::Open(path, kBusyTime);
      if (!connection) return connection;
      const auto found = Examine(*connection, kFormat);
      if (!found) return std::unexpected(found.error());
      if (!*found) {
        const auto prepared = Prepare(*connection);
        if (prepared) return connection;
        if (prepared.error().code != Errc::kCorrupt) return std::unexpected(prepared.error());
        damage = prepared.error().what;
      } else {
        damage = **found;
      }
    }
    if (auto moved = MoveAside(path, clock, log, damage); !moved) return std::unexpected(moved.error());
  }
  return Fail(Errc::kCorrupt, fmt::format("{} is damaged again just after it was made: check the disk", path));
}

Result<SqliteConnection> OpenVerdictReader(const std::string& path) {
  auto connection = SqliteConnection::Open(path, kBusyTime);
  if (!connection) return connection;
  if (auto set = connection->Execute("PRAGMA query_only=ON; PRAGMA cache_size=-8192"); !set) {
    return std::unexpected(set.error());
  }
  return connection;
}

Result<void> MoveAside(const std::string& path, const Clock& clock, Log& log, const std::string& why) {
  const fs::path file(path);
  const std::string prefix = file.filename().string() + ".corrupt-";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(file.parent_path().empty() ? "." : file.parent_path(), error)) {
    if (std::error_code ignored; entry.path().filename().string().starts_with(prefix)) {
      fs::remove(entry.path(), ignored);
    }
  }
  const auto stamp = std::chrono::duration_cast<seconds>(clock.Now().time_since_epoch()).count();
  const std::string aside = fmt::format("{}.corrupt-{}", path, stamp);
  // The file goes last: a WAL must never be left behind alone, to be applied to a new file.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    if (!fs::exists(path + suffix)) continue;
    fs::rename(path + suffix, aside + suffix, error);
    if (error) {
      return Fail(Errc::kUnavailable, fmt::format("{} is damaged ({}) and {}{} cannot be moved aside: {}; delete both",
                                                  path, why, path, suffix, error.message()));
    }
  }
  log.Error("verdict cache damaged, starting with an empty one", {{"file", path}, {"why", why}, {"moved_to", aside}});
  return {};
}

}  // namespace lazaret::embedded
