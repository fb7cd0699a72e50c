#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "aio/blocking_pool.h"
#include "base/unique_fd.h"
#include "core/content.h"

namespace lazaret::embedded {

// A content's file: "<digest in hex>.<number in 16 hex digits>". The number is another one for each submit, so that a
// file that is being deleted is never one that has just been made.
struct ContentFileName {
  Digest id;
  std::uint64_t number;

  std::string Text() const;
  friend bool operator==(const ContentFileName&, const ContentFileName&) = default;
};

// Contents as files of one directory. A file is whole and on the disk before its name is. Thread-safe.
class ContentFiles {
 public:
  // A file that nothing on the disk refers to yet: it goes with this object unless it is kept.
  class Pending {
   public:
    Pending(const ContentFiles& files, ContentFileName name) : files_(files), name_(name) {}
    ~Pending() {
      if (!kept_) files_.Remove(name_);
    }
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    const ContentFileName& name() const { return name_; }
    void Keep() { kept_ = true; }

   private:
    const ContentFiles& files_;
    const ContentFileName name_;
    bool kept_ = false;
  };

  // Makes the directory when it is missing. An error says what is wrong with it and the cure. `pool` must outlive this.
  static Result<std::unique_ptr<ContentFiles>> Open(const std::filesystem::path& directory, aio::BlockingPool& pool);

  // Makes `size` bytes of `fd` a file that survives a power cut. A file without a name on the same file system, as the
  // spool makes them (open(2), O_TMPFILE), is given one; anything else is copied. Blocks. kOverloaded when the disk is
  // full.
  Result<std::shared_ptr<Pending>> Store(const Digest& id, int fd, std::uint64_t size) const;

  // The content, hashed again, which calls `progress` every 64 MiB. kCorrupt when it is not what was stored. It stays
  // readable after Remove. Blocks.
  Result<ContentPtr> Load(const ContentFileName& name, std::uint64_t size, const std::function<void()>& progress) const;

  // Deletes the file on the pool, some time.
  void Remove(const ContentFileName& name) const;

  // Deletes every file of ours that is not `wanted`, and leaves all others alone. How many it deleted. Blocks.
  Result<std::size_t> RemoveUnwanted(const std::function<Result<bool>(const ContentFileName&)>& wanted) const;

 private:
  ContentFiles(std::filesystem::path path, UniqueFd directory, aio::BlockingPool& pool)
      : path_(std::move(path)), directory_(std::make_shared<UniqueFd>(std::move(directory))), pool_(pool) {}

  Result<UniqueFd> Copy(int fd, std::uint64_t size) const;
  // 0 or an errno.
  int Link(int fd, const ContentFileName& name) const;
  bool CanBeLinked(int fd, std::uint64_t size) const;
  std::string Describe(const ContentFileName& name) const;

  const std::filesystem::path path_;
  const std::shared_ptr<UniqueFd> directory_;  // shared by what is still to be deleted
  aio::BlockingPool& pool_;
};

}  // namespace lazaret::embedded
