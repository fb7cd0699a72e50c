#include "embedded/message_rows.h"

#include <string_view>
#include <utility>

#include "core/verdict_encoding.h"

namespace lazaret::embedded {
namespace {

enum Sql : std::size_t {
  kFirst,
  kCountCallbacks,
  kInsertCallback,
  kRemoveCallbacks,
  kInsert,
  kMakeDue,
  kRead,
  kRemove,
  kPostpone,
  kSetDue,
  kRelease,
};

// The id of a message is random, so that a receiver never takes it for one of another queue file.
constexpr std::string_view kSql[] = {
    "SELECT number, due_at FROM messages ORDER BY due_at, number LIMIT 1",
    "SELECT count(*) FROM callbacks WHERE id = ?",
    "INSERT INTO callbacks(id, url, name) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
    "DELETE FROM callbacks WHERE id = ?",
    "INSERT INTO messages(message_id, id, url, name, verdict, attempts, due_at) "
    "SELECT 'msg_' || lower(hex(randomblob(16))), ?1, ?2, ?3, ?4, 0, ?5 WHERE NOT EXISTS("
    "SELECT 1 FROM messages WHERE id = ?1 AND url = ?2 AND name = ?3 AND verdict = ?4)",
    "INSERT INTO messages(message_id, id, url, name, verdict, attempts, due_at) "
    "SELECT 'msg_' || lower(hex(randomblob(16))), id, url, name, ?2, 0, ?3 FROM callbacks WHERE id = ?1 "
    "ORDER BY number",
    "SELECT message_id, id, url, name, verdict, attempts FROM messages WHERE number = ?",
    "DELETE FROM messages WHERE number = ?",
    "UPDATE messages SET attempts = attempts + 1, due_at = ?2 WHERE number = ?1",
    "UPDATE messages SET due_at = ?2 WHERE number = ?1",
    "UPDATE messages SET due_at = ?2 WHERE number = ?1 AND due_at = ?3",
};

}  // namespace

Result<MessageRows> MessageRows::Prepare(SqliteConnection& connection) {
  auto statements = connection.PrepareAll(kSql);
  if (!statements) return std::unexpected(statements.error());
  return MessageRows(connection, *std::move(statements));
}

Result<std::uint64_t> MessageRows::ChangedBy(SqliteRun& run) {
  if (auto done = run.Finish(); !done) return std::unexpected(done.error());
  return static_cast<std::uint64_t>(connection_->ChangedRows());
}

Result<bool> MessageRows::ChangedAny(SqliteRun& run) {
  const auto rows = ChangedBy(run);
  if (!rows) return std::unexpected(rows.error());
  return *rows > 0;
}

Result<std::uint64_t> MessageRows::CountCallbacks(const Digest& id) {
  SqliteRun run(statements_[kCountCallbacks]);
  const auto found = run.Bind(id.AsSpan()).Step();
  if (!found) return std::unexpected(found.error());
  return static_cast<std::uint64_t>(run.TakeInteger());
}

Result<bool> MessageRows::InsertCallback(const Digest& id, const Callback& callback) {
  SqliteRun run(statements_[kInsertCallback]);
  run.Bind(id.AsSpan()).Bind(std::string_view(callback.url)).Bind(std::string_view(callback.name));
  return ChangedAny(run);
}

Result<std::uint64_t> MessageRows::RemoveCallbacks(const Digest& id) {
  SqliteRun run(statements_[kRemoveCallbacks]);
  return ChangedBy(run.Bind(id.AsSpan()));
}

Result<bool> MessageRows::Insert(const Digest& id, const Callback& callback, Bytes verdict, std::int64_t now) {
  SqliteRun run(statements_[kInsert]);
  run.Bind(id.AsSpan()).Bind(std::string_view(callback.url)).Bind(std::string_view(callback.name));
  return ChangedAny(run.Bind(verdict).Bind(now));
}

Result<std::uint64_t> MessageRows::MakeDue(const Digest& id, Bytes verdict, std::int64_t now) {
  std::uint64_t made = 0;
  {
    SqliteRun run(statements_[kMakeDue]);
    const auto changed = ChangedBy(run.Bind(id.AsSpan()).Bind(verdict).Bind(now));
    if (!changed) return changed;
    made = *changed;
  }
  if (made == 0) return 0;
  return RemoveCallbacks(id);
}

Result<std::optional<MessageRows::Row>> MessageRows::First() {
  SqliteRun run(statements_[kFirst]);
  const auto found = run.Step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  return Row{.number = static_cast<std::uint64_t>(run.TakeInteger()), .due_at = run.TakeInteger()};
}

Result<void> MessageRows::Release(const MessageLease& lease) {
  SqliteRun run(statements_[kRelease]);
  return run.Bind(static_cast<std::int64_t>(lease.number)).Bind(lease.due_at).Bind(lease.until).Finish();
}

Result<std::optional<Delivery>> MessageRows::Read(std::uint64_t number) {
  SqliteRun run(statements_[kRead]);
  const auto found = run.Bind(static_cast<std::int64_t>(number)).Step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  std::string message_id(run.TakeText());
  const auto id = Digest::FromBytes(run.TakeBlob());
  if (!id) return std::nullopt;
  Callback callback{.url = std::string(run.TakeText()), .name = std::string(run.TakeText())};
  auto verdict = DecodeVerdict(*id, run.TakeBlob());
  if (!verdict) return std::nullopt;
  return Delivery{.number = number,
                  .message_id = std::move(message_id),
                  .id = *id,
                  .callback = std::move(callback),
                  .verdict = *std::move(verdict),
                  .attempts = static_cast<std::uint32_t>(run.TakeInteger())};
}

Result<bool> MessageRows::Remove(std::uint64_t number) {
  SqliteRun run(statements_[kRemove]);
  return ChangedAny(run.Bind(static_cast<std::int64_t>(number)));
}

Result<bool> MessageRows::Postpone(std::uint64_t number, std::int64_t due_at) {
  SqliteRun run(statements_[kPostpone]);
  return ChangedAny(run.Bind(static_cast<std::int64_t>(number)).Bind(due_at));
}

Result<bool> MessageRows::SetDue(std::uint64_t number, std::int64_t due_at) {
  SqliteRun run(statements_[kSetDue]);
  return ChangedAny(run.Bind(static_cast<std::int64_t>(number)).Bind(due_at));
}

}  // namespace lazaret::embedded
