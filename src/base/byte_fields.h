#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/digest.h"

namespace lazaret {

// Fields one behind the other as bytes that mean the same on every machine: numbers little-endian in their full width,
// texts behind their length, digests as they are.
class FieldWriter {
 public:
  template <std::integral T>
  void Number(T value) {
    auto rest = static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
    for (std::size_t i = 0; i < sizeof(T); ++i, rest >>= 8) bytes_ += static_cast<char>(rest & 0xFF);
  }
  void Text(std::string_view text) {
    Number(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
  }
  void Raw(Bytes bytes) { bytes_ += AsText(bytes); }

  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what a FieldWriter has written. What is missing reads as zero or empty and makes the reader not ok: look at
// ok() before a value is believed or a count is looped over, and at AtEnd() at the end.
class FieldReader {
 public:
  explicit FieldReader(Bytes bytes) : rest_(bytes) {}

  template <std::integral T>
  T Number() {
    std::uint64_t value = 0;
    const Bytes bytes = Raw(sizeof(T));
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return static_cast<T>(value);
  }
  std::string Text() { return std::string(AsText(Raw(Number<std::uint32_t>()))); }
  // `size` bytes, or none.
  Bytes Raw(std::size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const Bytes bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }

  bool ok() const { return ok_; }
  std::size_t left() const { return rest_.size(); }
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  Bytes rest_;
  bool ok_ = true;
};

}  // namespace lazaret
