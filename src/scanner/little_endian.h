#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lazaret::scanner {

// Numbers in file formats. The caller has made sure that they lie within `text`.
inline std::uint32_t Byte(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }
inline std::uint32_t Little16(std::string_view text, std::size_t at) {
  return Byte(text, at) | Byte(text, at + 1) << 8;
}
inline std::uint32_t Little32(std::string_view text, std::size_t at) {
  return Little16(text, at) | Little16(text, at + 2) << 16;
}

}  // namespace lazaret::scanner
