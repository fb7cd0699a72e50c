#pragma once

#include <filesystem>

#include "base/result.h"
#include "embedded/sqlite.h"

namespace lazaret::embedded {

// The file format that this code reads and writes: PRAGMA user_version.
inline constexpr std::int64_t kQueueSchemaVersion = 1;

// Column `lane` of an unfinished job; NULL when it is finished. Stored: never reuse one.
enum class Lane : std::int64_t { kSmall = 1, kLarge = 2, kPaused = 3, kLeased = 4 };
// Column `content`: where it lies. Stored: never reuse one.
enum class ContentPlace : std::int64_t { kNowhere = 0, kRow = 1, kFile = 2 };

// A connection for the one writer of `path`, with the tables in place. Everything that is wrong with the file is an
// error that names it, the cause and the cure; the file is left as it is, for it holds promises.
Result<SqliteConnection> OpenQueueDatabase(const std::filesystem::path& path);

// One more connection to a file that OpenQueueDatabase has opened; it cannot write.
Result<SqliteConnection> OpenQueueReader(const std::filesystem::path& path);

}  // namespace lazaret::embedded
