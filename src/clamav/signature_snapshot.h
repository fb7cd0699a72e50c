#pragma once

#include <cstddef>
#include <filesystem>

#include "base/digest.h"
#include "base/result.h"

namespace lazaret::clamav {

// Signature files that nobody changes while they are read.
struct SignatureSnapshot {
  std::filesystem::path directory;
  Digest digest;  // over every database file's name, size and content
  std::size_t files = 0;
  bool test_set = false;
};

// Whether libclamav reads a file of this name as a database (its CLI_DBEXT), in whatever case.
bool IsDatabaseFile(const std::filesystem::path& name);

// Makes `into`/<digest> from the database files of `source`, by hard links where that is possible and by copies
// where not, and removes every other snapshot in `into`. Blocks while it reads all of them. kNotFound when `source`
// holds no database; the message says how to get one.
Result<SignatureSnapshot> TakeSnapshot(const std::filesystem::path& source, const std::filesystem::path& into);

// The same with the built-in set, which finds the EICAR test file (eicar.org) and nothing else.
Result<SignatureSnapshot> MakeTestSnapshot(const std::filesystem::path& into);

// Blocks while it reads all files again: a hard link still shows what somebody writes into the file behind it.
// kUnavailable when the snapshot is not any more what its digest says.
Result<void> CheckUnchanged(const SignatureSnapshot& snapshot);

}  // namespace lazaret::clamav
