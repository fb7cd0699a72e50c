#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "embedded/sqlite.h"

namespace lazaret::embedded {

// The file format that this code reads and writes: PRAGMA user_version.
inline constexpr std::int64_t kVerdictSchemaVersion = 1;

// A connection for the one writer of `path`, with the tables in place. A file that is damaged or no database is moved
// aside and logged, for it is only a cache; a newer Lazaret's file, another program's database and a directory that
// cannot be written are errors that say what to do.
Result<SqliteConnection> OpenVerdictDatabase(const std::string& path, const Clock& clock, Log& log);

// One more connection to a file that OpenVerdictDatabase has opened; it cannot write.
Result<SqliteConnection> OpenVerdictReader(const std::string& path);

// Renames `path` and its WAL to `path`.corrupt-<time>[-wal] in place of any earlier such files, so that what a bad
// disk leaves behind is bounded. Nobody may have it open.
Result<void> MoveAside(const std::string& path, const Clock& clock, Log& log, const std::string& why);

}  // namespace lazaret::embedded
