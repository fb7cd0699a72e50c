#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/outbox.h"
#include "embedded/sqlite.h"

namespace lazaret::embedded {

// That one taker has a message. Wall clock, ms since 1970.
struct MessageLease {
  std::uint64_t number;
  std::int64_t due_at;  // before
  std::int64_t until;
};

// The statements of the one writer on callbacks that wait for their job and on messages to callbacks that are due.
// Times are ms since 1970, wall clock. Used by one thread.
class MessageRows {
 public:
  // `connection` must outlive it.
  static Result<MessageRows> Prepare(SqliteConnection& connection);

  Result<std::uint64_t> CountCallbacks(const Digest& id);
  // False when the same callback waits already.
  Result<bool> InsertCallback(const Digest& id, const Callback& callback);
  // How many went.
  Result<std::uint64_t> RemoveCallbacks(const Digest& id);

  // False when the same message waits already.
  Result<bool> Insert(const Digest& id, const Callback& callback, Bytes verdict, std::int64_t now);
  // Every callback that waits for the job becomes a message that is due. How many.
  Result<std::uint64_t> MakeDue(const Digest& id, Bytes verdict, std::int64_t now);

  struct Row {
    std::uint64_t number;
    std::int64_t due_at;
  };
  // The message that is due first.
  Result<std::optional<Row>> First();
  // It is due when it was before, unless the lease is not the last one.
  Result<void> Release(const MessageLease& lease);
  // Nothing when it cannot be read: its verdict is not what was written.
  Result<std::optional<Delivery>> Read(std::uint64_t number);
  // False when there is no such message.
  Result<bool> Remove(std::uint64_t number);
  // Likewise; an attempt is counted.
  Result<bool> Postpone(std::uint64_t number, std::int64_t due_at);
  // Likewise; nothing is counted.
  Result<bool> SetDue(std::uint64_t number, std::int64_t due_at);

 private:
  MessageRows(SqliteConnection& connection, std::vector<SqliteStatement> statements)
      : connection_(&connection), statements_(std::move(statements)) {}
  Result<std::uint64_t> ChangedBy(SqliteRun& run);
  Result<bool> ChangedAny(SqliteRun& run);

  SqliteConnection* connection_;
  std::vector<SqliteStatement> statements_;
};

}  // namespace lazaret::embedded
