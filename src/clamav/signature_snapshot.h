#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/digest.h"
#include "base/result.h"

namespace lazaret::clamav {

// Signature files that nobody replaces while they are read. Plain data: it does not own the files.
struct SignatureSnapshot {
  std::filesystem::path directory;
  Digest digest;  // over every database file's name, size and content
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  bool test_set = false;
};

// A link costs neither time nor room, but shows what somebody writes into the file behind it; a copy does not.
enum class SnapshotBy { kLinks, kCopies };

// Makes `into`/<digest> from the database files of `source`, by hard links where that is asked for and possible and by
// copies, which are as old as what they were made of, where not. Blocks while it reads all of them. When it fails it
// leaves nothing behind: kNotFound when `source` holds no database (the message says how to get one), kCorrupt when its
// files were changed meanwhile, kOverloaded when the disk is full.
Result<SignatureSnapshot> TakeSnapshot(const std::filesystem::path& source, const std::filesystem::path& into,
                                       SnapshotBy by);

// The same with the built-in set, which finds the EICAR test file (eicar.org) and nothing else.
Result<SignatureSnapshot> MakeTestSnapshot(const std::filesystem::path& into);

// Blocks while it reads all files again. kCorrupt when the snapshot is not any more what its digest says.
Result<void> CheckUnchanged(const SignatureSnapshot& snapshot);

// The EICAR test file.
std::string EicarTestFile();

}  // namespace lazaret::clamav
