#pragma once

#include <filesystem>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret {

// The directory that one server owns as long as it lives.
class DataDirectory {
 public:
  // Makes `path` when it is missing and locks it. kUnavailable when it cannot be written or another server has it; the
  // message says what to do.
  static Result<DataDirectory> Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }

 private:
  DataDirectory(std::filesystem::path path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  UniqueFd lock_;
};

}  // namespace lazaret
