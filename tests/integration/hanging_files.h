#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <thread>

#include "base/unique_fd.h"

namespace lazaret::tests {

// A file system that never answers some questions of other processes, as long as it lives (fuse(4)); what waits for it
// then gets an error. Every name in it is a file of kSize zeros, but "directory", which holds one. Only those may make
// one who may mount; is_mounted tells.
class HangingFiles {
 public:
  static constexpr std::size_t kSize = 1000;
  enum class Question : std::uint8_t { kLookup, kOpen, kRead, kReadDirectory, kFlush };

  // Mounted at `path`, which is made.
  HangingFiles(std::filesystem::path path, std::set<Question> unanswered);
  ~HangingFiles();
  HangingFiles(const HangingFiles&) = delete;
  HangingFiles& operator=(const HangingFiles&) = delete;

  bool is_mounted() const { return is_mounted_; }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  // How many questions hang.
  std::size_t hanging() const { return hanging_; }

 private:
  struct Request;
  void Serve();
  void Answer(const Request& request);
  void Reply(const Request& request, int error, const void* data, std::size_t size);

  const std::filesystem::path path_;
  const std::set<Question> unanswered_;
  UniqueFd device_;
  UniqueFd stop_;  // becomes readable
  bool is_mounted_ = false;
  std::atomic<std::size_t> hanging_ = 0;
  std::jthread thread_;
};

}  // namespace lazaret::tests
