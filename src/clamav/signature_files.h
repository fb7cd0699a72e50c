#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"

namespace lazaret::clamav {

// What can be seen of a file without reading it.
struct FileMark {
  std::string name;
  std::uint64_t device, inode, size;
  std::int64_t modified_ns, changed_ns;  // st_mtim, st_ctim

  friend bool operator==(const FileMark&, const FileMark&) = default;
  // The same but for st_ctim, which a hard link moves, too.
  bool HasSameContentAs(const FileMark& other) const;
};
using FileMarks = std::vector<FileMark>;  // by name

struct FilesDigest {
  Digest digest;  // over every file's name, size and content
  std::size_t files;
  std::uint64_t bytes;
};

// Whether libclamav reads a file of this name as a database (its CLI_DBEXT), in whatever case.
bool IsDatabaseFile(const std::filesystem::path& name);

// The database files of a directory; symbolic links are followed. kNotFound when it cannot be read.
Result<FileMarks> MarkFiles(const std::filesystem::path& directory);
// Whether both are of the same files with the same content, as far as can be seen.
bool SameContent(const FileMarks& a, const FileMarks& b);

// When the newest of them was written; empty when there are none.
std::optional<WallTime> NewestTime(const FileMarks& marks);

// Whether a file of `before` has another content in `after` and is the same file, which tools that replace files whole
// never cause.
bool IsWrittenInto(const FileMarks& before, const FileMarks& after);

// Blocks while it reads every database file of `directory`.
Result<FilesDigest> DigestFiles(const std::filesystem::path& directory);

}  // namespace lazaret::clamav
