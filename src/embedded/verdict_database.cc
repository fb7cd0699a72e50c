#include "embedded/verdict_database.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

namespace lazaret::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kBusyTime{5};
// "LZVC": tells our file from any other SQLite database.
constexpr std::int64_t kApplicationId = 0x4C5A5643;
// A larger file would hold up the start: its pages are then only checked as they are read, its rows always are.
constexpr std::int64_t kMaxCheckedBytes = std::int64_t{256} << 20;

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

// Engines that no verdict refers to any more: a few a day, so they are looked for only when many have gathered.
constexpr const char* kForgetEngines =
    "DELETE FROM engines WHERE (SELECT count(*) FROM engines) > 1000"
    " AND id NOT IN (SELECT engine_id FROM verdicts)";

Result<void> CheckDirectory(const std::string& path) {
  fs::path directory = fs::path(path).parent_path();
  if (directory.empty()) directory = ".";
  // SQLite needs to create files beside the database, whoever owns the database itself.
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return {};
  const int number = errno;
  const std::string_view cure = number == ENOENT ? "create it" : "make it writable for the user that runs lazaret";
  return Fail(Errc::kUnavailable,
              fmt::format("the verdict cache {} cannot be kept: directory {}: {}; {} or configure another directory",
                          path, directory.string(), std::generic_category().message(number), cure));
}

// Empty when the file is whole and ours or new; otherwise what is wrong with it. An Error means that it must stay.
Result<std::optional<std::string>> Examine(SqliteConnection& connection) {
  const auto damage = [](const Error& error) -> Result<std::optional<std::string>> {
    if (error.code == Errc::kCorrupt) return error.what;
    return std::unexpected(error);
  };
  const auto tables = connection.QueryInteger("SELECT count(*) FROM sqlite_schema");
  if (!tables) return damage(tables.error());
  if (*tables == 0) return std::nullopt;
  const auto application = connection.QueryInteger("PRAGMA application_id");
  if (!application) return damage(application.error());
  if (*application != kApplicationId) {
    return Fail(Errc::kInternal, fmt::format("{} is a database of another program; configure another path for the "
                                             "verdict cache",
                                             connection.path()));
  }
  const auto version = connection.QueryInteger("PRAGMA user_version");
  if (!version) return damage(version.error());
  if (*version > kVerdictSchemaVersion) {
    return Fail(Errc::kInternal,
                fmt::format("{} was written by a newer Lazaret (schema {}, this one knows up to {}); run that one, or "
                            "delete the file: it is only a cache",
                            connection.path(), *version, kVerdictSchemaVersion));
  }
  std::error_code ignored;
  if (fs::file_size(connection.path(), ignored) <= static_cast<std::uintmax_t>(kMaxCheckedBytes)) {
    const auto check = connection.QueryText("PRAGMA quick_check(1)");
    if (!check) return damage(check.error());
    if (*check != "ok") return *check;
  }
  return std::nullopt;
}

Result<void> Prepare(SqliteConnection& connection) {
  if (auto configured = connection.Execute(kConfigure); !configured) return configured;
  if (auto begun = connection.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  const auto version = connection.QueryInteger("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  if (*version == 0) {
    if (auto made = connection.Execute(kSchema); !made) return made;
    const std::string mark =
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, kVerdictSchemaVersion);
    if (auto marked = connection.Execute(mark.c_str()); !marked) return marked;
  }
  if (auto forgotten = connection.Execute(kForgetEngines); !forgotten) return forgotten;
  return connection.Execute("COMMIT");
}

}  // namespace

Result<SqliteConnection> OpenVerdictDatabase(const std::string& path, const Clock& clock, Log& log) {
  if (auto writable = CheckDirectory(path); !writable) return std::unexpected(writable.error());
  // The second turn starts with no file.
  for (int turn = 0; turn < 2; ++turn) {
    std::string damage;
    {
      auto connection = SqliteConnection::Open(path, kBusyTime);
      if (!connection) return connection;
      const auto found = Examine(*connection);
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
