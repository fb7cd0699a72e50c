#pragma once

#include <cstdint>
#include <filesystem>

namespace lazaret::tests {

// A file system of its own with little room (tmpfs), as long as it lives. Only those may make one who may mount.
class SmallDisk {
 public:
  // Mounted at `path`, which is made.
  SmallDisk(std::filesystem::path path, std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool is_mounted() const { return is_mounted_; }
  std::uint64_t FreeBytes() const;
  // Takes so much room, as far as it is there; Relieve gives all of that back.
  void Take(std::uint64_t bytes) const;
  void Fill() const { Take(FreeBytes()); }
  void Relieve() const;

 private:
  std::filesystem::path Filler() const { return path_ / "filler"; }

  const std::filesystem::path path_;
  bool is_mounted_ = false;
};

}  // namespace lazaret::tests
