#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lazaret::embedded {

// A prepared statement. Must go before its connection does.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3_stmt* statement, const std::string& path) : handle_(statement), path_(path) {}

 private:
  friend class SqliteRun;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  std::string path_;
};

// One connection to a database file (sqlite.org/c3ref). Used by one thread at a time. Every error names the file:
// kOverloaded when the disk is full, kCorrupt when the file is damaged or no database, kUnavailable when it cannot be
// read, written or locked now.
class SqliteConnection {
 public:
  // Creates an empty file when there is none. Waits up to `busy_time` for another connection's lock.
  static Result<SqliteConnection> Open(const std::string& path, std::chrono::milliseconds busy_time);

  // One or more statements whose rows do not matter.
  Result<void> Execute(const char* sql);
  Result<SqliteStatement> Prepare(std::string_view sql);
  Result<std::vector<SqliteStatement>> PrepareAll(std::span<const std::string_view> sql);
  // The first column of the first row, 0 when there is none.
  Result<std::int64_t> QueryInteger(std::string_view sql);
  Result<std::string> QueryText(std::string_view sql);

  // From now on the write-ahead log is checkpointed only by Checkpoint, and WalPages tells how long it is.
  void CheckpointByHand();
  std::int64_t WalPages() const { return *wal_pages_; }
  // Copies the write-ahead log into the file, so that it can begin anew; with `wait` also waits for those that read
  // from it, up to the busy time.
  Result<void> Checkpoint(bool wait);

  bool InTransaction() const;
  std::int64_t LastInsertedRow() const;
  std::int64_t ChangedRows() const;  // by the last statement that inserted, updated or deleted
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  SqliteConnection(sqlite3* connection, const std::string& path) : handle_(connection), path_(path) {}

  std::unique_ptr<std::int64_t> wal_pages_ = std::make_unique<std::int64_t>(0);  // the hook's: must not move
  std::unique_ptr<sqlite3, Close> handle_;
  std::string path_;
};

// One run of a prepared statement: bind the parameters in order, step, take each row's columns in order. Gives its
// locks back when it goes. What is bound must outlive it; what is taken lasts until the next step.
class SqliteRun {
 public:
  explicit SqliteRun(SqliteStatement& statement);
  ~SqliteRun();
  SqliteRun(const SqliteRun&) = delete;
  SqliteRun& operator=(const SqliteRun&) = delete;

  SqliteRun& Bind(std::int64_t value);
  SqliteRun& Bind(std::optional<std::int64_t> value);
  SqliteRun& Bind(double value);
  SqliteRun& Bind(std::string_view text);
  SqliteRun& Bind(Bytes blob);

  // True when there is a row.
  Result<bool> Step();
  // For statements without rows.
  Result<void> Finish();

  std::int64_t TakeInteger();
  std::optional<std::int64_t> TakeOptionalInteger();
  double TakeReal();
  std::string_view TakeText();
  Bytes TakeBlob();

 private:
  sqlite3_stmt* statement_;
  const std::string& path_;
  int next_parameter_ = 1;
  int next_column_ = 0;
  int bind_error_ = 0;
};

}  // namespace lazaret::embedded
