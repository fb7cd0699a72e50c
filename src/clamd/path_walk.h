#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/unique_fd.h"
#include "clamd/finding.h"

namespace lazaret::clamd {

struct WalkSettings {
  std::vector<std::filesystem::path> roots;  // absolute; nothing outside them is ever opened
  std::size_t max_depth = 15;                // directories below the one that was asked for
  std::size_t max_entries = 1'000'000;       // of one walk; also those that are passed over
};

// The regular files of a path that a client named, opened one after the other in clamd's order: the files of a
// directory before its directories, each by inode number. Symbolic links and special files in a directory are passed
// over, as clamd does by default; what cannot be looked into is an item of its own, so that it is never forgotten.
// Resolution stays beneath a root (openat2(2), RESOLVE_BENEATH) whatever changes meanwhile. Every method may block.
class PathWalk {
 public:
  struct Item {
    std::string path;
    std::variant<UniqueFd, Finding> file;  // open for reading, or why it is not
  };

  PathWalk(const WalkSettings& settings, std::string_view path);

  // Opens what was named. The item, when it is not a directory; a directory's are not looked at before Next.
  std::optional<Item> Begin();
  bool is_begun() const { return begun_; }
  // Empty at the end. After Begin.
  std::optional<Item> Next();

  // The path without slashes at its end, as clamd repeats it.
  const std::string& path() const { return path_; }
  // After Begin.
  bool is_directory() const { return is_directory_; }

 private:
  struct Entry {
    ino_t inode;
    bool is_directory;
    std::string name;
  };
  struct Directory {
    std::string path;
    UniqueFd fd;
    std::vector<Entry> entries;
    std::size_t next = 0;
  };
  using Opened = std::variant<UniqueFd, Finding>;

  Opened Resolve() const;
  std::optional<Item> Enter(std::string path, UniqueFd fd);
  std::optional<Item> Visit(const Directory& directory, const Entry& entry);

  const WalkSettings settings_;  // its own: a walk that hangs outlives everything else
  std::string path_;
  bool begun_ = false;
  bool is_directory_ = false;
  UniqueFd directory_;  // what was named, until its entries are known
  std::size_t entries_ = 0;
  std::vector<Directory> stack_;
};

}  // namespace lazaret::clamd
