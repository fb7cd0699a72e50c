#include "embedded/sqlite_overrides.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "embedded/database_file.h"

namespace lazaret::embedded {
namespace {

constexpr seconds kBusyTime{5};

constexpr const char* kConfigure =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=1048576";

constexpr DatabaseFormat kFormat{
    .holds = "overrides",
    .application_id = 0x4C5A4F56,  // "LZOV"
    .version = 1,
    .schema = "CREATE TABLE overrides(id BLOB NOT NULL PRIMARY KEY, ends_at INTEGER, entry BLOB NOT NULL) STRICT",
    .newer_cure = "delete the file and add them again"};

Error Damaged(const std::string& path, std::string_view why) {
  return {Errc::kCorrupt,
          fmt::format("{} is damaged ({}): put a copy of it back, or delete it with its -wal and -shm and add the "
                      "overrides again; without them contents would pass that were denied",
                      path, why)};
}

Result<void> Prepare(SqliteConnection& connection) {
  if (auto configured = connection.Execute(kConfigure); !configured) return configured;
  if (auto begun = connection.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  if (auto made = MakeTables(connection, kFormat); !made) return made;
  return connection.Execute("COMMIT");
}

std::int64_t Milliseconds(WallTime time) { return time.time_since_epoch().count(); }

}  // namespace

Result<std::unique_ptr<SqliteOverrides>> SqliteOverrides::Open(Settings settings, OverrideBoard& board,
                                                               aio::BlockingPool& disk) {
  const std::string path = settings.path;
  if (auto writable = CheckDirectoryOf(path, kFormat); !writable) return std::unexpected(writable.error());
  auto connection = SqliteConnection::Open(path, kBusyTime);
  if (!connection) return std::unexpected(connection.error());
  const auto damage = Examine(*connection, kFormat);
  if (!damage) return std::unexpected(damage.error());
  if (*damage) return std::unexpected(Damaged(path, **damage));
  std::unique_ptr<SqliteOverrides> store(new SqliteOverrides(std::move(settings), board, disk, *std::move(connection)));
  const auto prepared = Prepare(store->connection_);
  auto all = prepared ? store->ReadAll() : std::unexpected(prepared.error());
  if (!all) {
    const Error& error = all.error();
    return std::unexpected(error.code == Errc::kCorrupt ? Damaged(path, error.what) : error);
  }
  board.Replace(*std::move(all));
  board.DropExpired();
  return store;
}

Result<std::vector<Override>> SqliteOverrides::ReadAll() {
  auto select = connection_.Prepare("SELECT entry FROM overrides");
  if (!select) return std::unexpected(select.error());
  std::vector<Override> all;
  SqliteRun run(*select);
  for (;;) {
    const auto row = run.Step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return all;
    auto entry = DecodeOverride(run.TakeBlob());
    if (!entry) return std::unexpected(entry.error());
    all.push_back(*std::move(entry));
  }
}

aio::Task<Result<void>> SqliteOverrides::Put(Override entry) {
  co_return co_await disk_.Run([&] { return PutNow(entry); });
}

aio::Task<Result<void>> SqliteOverrides::Remove(Digest id) {
  co_return co_await disk_.Run([&] { return RemoveNow(id); });
}

Result<void> SqliteOverrides::PutNow(const Override& entry) {
  std::lock_guard lock(mutex_);
  if (auto begun = connection_.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  auto written = WriteRow(entry);
  if (written) written = connection_.Execute("COMMIT");
  if (!written) {
    if (connection_.InTransaction()) (void)connection_.Execute("ROLLBACK");
    return written;
  }
  board_.DropExpired();
  board_.Put(entry);
  return {};
}

Result<void> SqliteOverrides::WriteRow(const Override& entry) {
  if (auto forgotten = ForgetExpired(); !forgotten) return forgotten;
  auto insert = connection_.Prepare("INSERT OR REPLACE INTO overrides(id, ends_at, entry) VALUES(?, ?, ?)");
  if (!insert) return std::unexpected(insert.error());
  const std::string bytes = EncodeOverride(entry);
  const auto ends_at = entry.until ? std::optional(Milliseconds(*entry.until)) : std::nullopt;
  if (auto inserted = SqliteRun(*insert).Bind(entry.id.AsSpan()).Bind(ends_at).Bind(AsBytes(bytes)).Finish();
      !inserted) {
    return inserted;
  }
  const auto count = connection_.QueryInteger("SELECT count(*) FROM overrides");
  if (!count) return std::unexpected(count.error());
  if (static_cast<std::size_t>(*count) > settings_.max_entries) {
    return Fail(Errc::kTooLarge,
                fmt::format("there are {} overrides already (override.max_entries)", settings_.max_entries));
  }
  return {};
}

Result<void> SqliteOverrides::ForgetExpired() {
  auto forget = connection_.Prepare("DELETE FROM overrides WHERE ends_at <= ?");
  if (!forget) return std::unexpected(forget.error());
  return SqliteRun(*forget).Bind(Milliseconds(board_.Now())).Finish();
}

Result<void> SqliteOverrides::RemoveNow(const Digest& id) {
  std::lock_guard lock(mutex_);
  if (auto forgotten = ForgetExpired(); !forgotten) return forgotten;
  auto remove = connection_.Prepare("DELETE FROM overrides WHERE id = ?");
  if (!remove) return std::unexpected(remove.error());
  if (auto removed = SqliteRun(*remove).Bind(id.AsSpan()).Finish(); !removed) return removed;
  board_.Drop(id);
  if (connection_.ChangedRows() == 0) return Fail(Errc::kNotFound, "there is no override of this content");
  return {};
}

}  // namespace lazaret::embedded
