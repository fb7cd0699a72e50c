#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace lazaret::net {

// Read buffers that the connections of one I/O thread share: a connection holds one only while there are bytes in it,
// or while there are few of them.
class BufferPool {
 public:
  static constexpr std::size_t kBufferBytes = 64 * 1024;
  static constexpr std::size_t kMostKept = 64;
  using Buffer = std::unique_ptr<std::array<char, kBufferBytes>>;

  Buffer Take() {
    ++taken_;
    if (free_.empty()) return std::make_unique_for_overwrite<std::array<char, kBufferBytes>>();
    Buffer buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  // Nothing, too.
  void Give(Buffer buffer) {
    if (buffer == nullptr) return;
    --taken_;
    if (free_.size() < kMostKept) free_.push_back(std::move(buffer));
  }
  // So few are in use that whoever has one may keep it while there is nothing in it.
  bool HasPlenty() const { return taken_ <= kMostKept; }

 private:
  std::vector<Buffer> free_;
  std::size_t taken_ = 0;
};

}  // namespace lazaret::net
