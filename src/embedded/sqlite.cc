#include "embedded/sqlite.h"

#include <sqlite3.h>

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace lazaret::embedded {
namespace {

Errc CodeOf(int extended) {
  switch (extended & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_NOMEM: return Errc::kOverloaded;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Errc::kCorrupt;
    case SQLITE_TOOBIG: return Errc::kTooLarge;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL:
    case SQLITE_CANTOPEN: return Errc::kUnavailable;
    default: return Errc::kInternal;
  }
}

// Call it at once after what failed, which must have begun with errno 0.
std::unexpected<Error> Failure(sqlite3* connection, const std::string& path, int code) {
  const int number = errno;
  std::string what = fmt::format("{}: {}", path, sqlite3_errstr(code));
  const int primary = code & 0xFF;
  if (connection != nullptr && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
    // Not sqlite3_system_errno: a commit that fails leaves an older number there.
    if (number != 0) what += fmt::format(" ({})", std::generic_category().message(number));
  } else if (connection != nullptr && primary == SQLITE_ERROR) {
    what += fmt::format(" ({})", sqlite3_errmsg(connection));
  }
  return Fail(CodeOf(code), std::move(what));
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void SqliteConnection::Close::operator()(sqlite3* connection) const { sqlite3_close(connection); }

Result<SqliteConnection> SqliteConnection::Open(const std::string& path, std::chrono::milliseconds busy_time) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  errno = 0;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  SqliteConnection connection(handle, path);  // owns it after a failure, too
  if (code != SQLITE_OK) return Failure(handle, path, code);
  sqlite3_busy_timeout(handle, static_cast<int>(busy_time.count()));
  // The file may have been damaged or edited: believe neither its schema nor its page layout.
  if (auto set = connection.Execute("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON"); !set) {
    return std::unexpected(set.error());
  }
  return connection;
}

Result<void> SqliteConnection::Execute(const char* sql) {
  errno = 0;
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Failure(handle_.get(), path_, code);
  return {};
}

Result<SqliteStatement> SqliteConnection::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  errno = 0;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Failure(handle_.get(), path_, code);
  return SqliteStatement(statement, path_);
}

Result<std::vector<SqliteStatement>> SqliteConnection::PrepareAll(std::span<const std::string_view> sql) {
  std::vector<SqliteStatement> statements;
  for (const std::string_view one : sql) {
    auto statement = Prepare(one);
    if (!statement) return std::unexpected(statement.error());
    statements.push_back(*std::move(statement));
  }
  return statements;
}

Result<std::int64_t> SqliteConnection::QueryInteger(std::string_view sql) {
  auto statement = Prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  SqliteRun run(*statement);
  const auto row = run.Step();
  if (!row) return std::unexpected(row.error());
  return *row ? run.TakeInteger() : 0;
}

Result<std::string> SqliteConnection::QueryText(std::string_view sql) {
  auto statement = Prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  SqliteRun run(*statement);
  const auto row = run.Step();
  if (!row) return std::unexpected(row.error());
  return *row ? std::string(run.TakeText()) : std::string();
}

void SqliteConnection::CheckpointByHand() {
  sqlite3_wal_hook(
      handle_.get(),
      [](void* pages, sqlite3*, const char*, int in_log) {
        *static_cast<std::int64_t*>(pages) = in_log;
        return SQLITE_OK;
      },
      wal_pages_.get());
}

Result<void> SqliteConnection::Checkpoint(bool wait) {
  errno = 0;
  const int mode = wait ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  const int code = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, mode, nullptr, nullptr);
  if (code != SQLITE_OK && code != SQLITE_BUSY) return Failure(handle_.get(), path_, code);
  return {};
}

bool SqliteConnection::InTransaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
std::int64_t SqliteConnection::LastInsertedRow() const { return sqlite3_last_insert_rowid(handle_.get()); }
std::int64_t SqliteConnection::ChangedRows() const { return sqlite3_changes64(handle_.get()); }

SqliteRun::SqliteRun(SqliteStatement& statement) : statement_(statement.handle_.get()), path_(statement.path_) {}

SqliteRun::~SqliteRun() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteRun& SqliteRun::Bind(std::int64_t value) {
  if (const int code = sqlite3_bind_int64(statement_, next_parameter_++, value)) bind_error_ = code;
  return *this;
}

SqliteRun& SqliteRun::Bind(std::optional<std::int64_t> value) {
  if (value) return Bind(*value);
  if (const int code = sqlite3_bind_null(statement_, next_parameter_++)) bind_error_ = code;
  return *this;
}

SqliteRun& SqliteRun::Bind(double value) {
  if (const int code = sqlite3_bind_double(statement_, next_parameter_++, value)) bind_error_ = code;
  return *this;
}

SqliteRun& SqliteRun::Bind(std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.empty() ? "" : text.data();
  if (const int code = sqlite3_bind_text64(statement_, next_parameter_++, data, text.size(), nullptr, SQLITE_UTF8)) {
    bind_error_ = code;
  }
  return *this;
}

SqliteRun& SqliteRun::Bind(Bytes blob) {
  const void* data = blob.empty() ? "" : static_cast<const void*>(blob.data());
  if (const int code = sqlite3_bind_blob64(statement_, next_parameter_++, data, blob.size(), nullptr)) {
    bind_error_ = code;
  }
  return *this;
}

Result<bool> SqliteRun::Step() {
  sqlite3* connection = sqlite3_db_handle(statement_);
  if (bind_error_ != SQLITE_OK) return Failure(connection, path_, bind_error_);
  next_column_ = 0;
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Failure(connection, path_, code);
}

Result<void> SqliteRun::Finish() {
  const auto row = Step();
  if (!row) return std::unexpected(row.error());
  return {};
}

std::int64_t SqliteRun::TakeInteger() { return sqlite3_column_int64(statement_, next_column_++); }

std::optional<std::int64_t> SqliteRun::TakeOptionalInteger() {
  if (sqlite3_column_type(statement_, next_column_) != SQLITE_NULL) return TakeInteger();
  ++next_column_;
  return std::nullopt;
}

double SqliteRun::TakeReal() { return sqlite3_column_double(statement_, next_column_++); }

std::string_view SqliteRun::TakeText() { return AsText(TakeBlob()); }

Bytes SqliteRun::TakeBlob() {
  const int column = next_column_++;
  const void* data = sqlite3_column_blob(statement_, column);
  return {static_cast<const std::byte*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace lazaret::embedded
