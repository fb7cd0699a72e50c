#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace lazaret::net {

// Read buffers that the connections of one I/O thread share: a connection holds one only while there are bytes in it.
class BufferPool {
 public:
  static constexpr std::size_t kBufferBytes = 64 * 1024;
  static constexpr std::size_t kMostKept = 64;
  using Buffer = std::unique_ptr<std::array<char, kBufferBytes>>;

  Buffer Take() {
    if (free_.empty()) return std::make_unique_for_overwrite<std::array<char, kBufferBytes>>();
    Buffer buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  // Nothing, too.
  void Give(Buffer buffer) {
    if (buffer != nullptr && free_.size() < kMostKept) free_.push_back(std::move(buffer));
  }

 private:
  std::vector<Buffer> free_;
};

}  // namespace lazaret::net
