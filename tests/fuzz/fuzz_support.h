#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/digest.h"

namespace lazaret::fuzz {

// Ends the process: libFuzzer then keeps the input.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

inline std::string_view Text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Cuts bytes into pieces of 1 to 16; the first byte of an input chooses how.
class Cutter {
 public:
  explicit Cutter(std::uint8_t seed) : state_(seed * 2654435761u + 1) {}

  std::string_view Take(std::string_view& rest) {
    state_ = state_ * 1664525u + 1013904223u;
    const std::string_view piece = rest.substr(0, 1 + (state_ >> 28));
    rest.remove_prefix(piece.size());
    return piece;
  }

 private:
  std::uint32_t state_;
};

}  // namespace lazaret::fuzz
