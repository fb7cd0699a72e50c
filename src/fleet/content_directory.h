#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aio/blocking_pool.h"
#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "core/content.h"

namespace lazaret::fleet {

// A content's file: "<digest in hex>.<name>", where the name is another one for each submit.
struct SharedFile {
  Digest id;
  std::string name;  // hexadecimal digits

  std::string Text() const;
  static std::optional<SharedFile> Parse(std::string_view text);
  friend bool operator==(const SharedFile&, const SharedFile&) = default;
};

// Contents as files of a directory that all nodes see, such as one on NFS, in folders by the first two digits of the
// digest. A file is whole and on the disk before it has its name. Thread-safe. Every method blocks on the disk.
class ContentDirectory {
 public:
  // Makes the directory when it is missing. An error names the cause and the cure. `pool` closes large files and must
  // outlive the contents.
  static Result<std::unique_ptr<ContentDirectory>> Open(const std::filesystem::path& directory,
                                                        aio::BlockingPool& pool);

  // Copies `size` bytes of `fd`. kOverloaded when the disk is full.
  Result<void> Store(const SharedFile& file, int fd, std::uint64_t size) const;
  // The content, hashed again, which calls `progress` every 64 MiB. kCorrupt when it is not what was stored.
  Result<ContentPtr> Load(const SharedFile& file, std::uint64_t size, const std::function<void()>& progress) const;
  // What cannot be deleted is left to a sweep.
  void Remove(const SharedFile& file) const;
  // Files of ours that were written before `before`, and of those that were never finished none is left.
  Result<std::vector<SharedFile>> FindOld(std::filesystem::file_time_type before) const;

 private:
  ContentDirectory(std::filesystem::path path, aio::BlockingPool& pool) : path_(std::move(path)), pool_(pool) {}

  std::filesystem::path PathOf(const SharedFile& file) const;

  const std::filesystem::path path_;
  aio::BlockingPool& pool_;
};

}  // namespace lazaret::fleet
