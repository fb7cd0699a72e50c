#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "embedded/sqlite.h"

namespace lazaret::embedded {

// How one kind of our database files is told from others and from its own later versions.
struct DatabaseFormat {
  std::string_view holds;       // for people: "verdict cache"
  std::int64_t application_id;  // PRAGMA application_id
  std::int64_t version;         // PRAGMA user_version: the newest that this code reads and writes
  const char* schema;           // the statements that make an empty file one of `version`
  std::string_view newer_cure;  // what else than running the newer Lazaret helps with a newer file
};

// SQLite needs to create files beside the database, whoever owns the database itself: kUnavailable with the cure when
// the directory of `path` does not allow that.
Result<void> CheckDirectoryOf(const std::string& path, const DatabaseFormat& format);

// Empty when the file is whole and of this format, or empty; otherwise what is damaged. A newer Lazaret's file, another
// program's, and one that cannot be read are errors that say what to do. Pages of a file over 256 MiB are not looked
// at: that would hold up the start.
Result<std::optional<std::string>> Examine(SqliteConnection& connection, const DatabaseFormat& format);

// Makes the tables if there are none, in the transaction that the caller has begun.
Result<void> MakeTables(SqliteConnection& connection, const DatabaseFormat& format);

}  // namespace lazaret::embedded
