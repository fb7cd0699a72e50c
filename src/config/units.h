#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace lazaret::config {

// Why a text is not a number of the wanted kind.
enum class NumberFault {
  kSyntax,      // it is not written like one
  kOutOfRange,  // it is, but is negative or does not fit
};
template <class T>
using Number = std::expected<T, NumberFault>;

// Decimal digits only.
Number<std::uint64_t> ParseCount(std::string_view text);
// Bytes: "64KiB", "2GiB" (powers of 1024), "500MB" (powers of 1000), "4096B" or "4096".
Number<std::uint64_t> ParseSize(std::string_view text);
// Bytes per second: a size, with or without "/s" after it.
Number<std::uint64_t> ParseRate(std::string_view text);
// "500ms", "30s", "5m", "2h", "7d". The unit is not optional.
Number<milliseconds> ParseDuration(std::string_view text);

// Permission bits as chmod(1) takes them: octal digits only, "660" or "0660".
Number<std::uint64_t> ParseMode(std::string_view text);

// The shortest exact text that the parser above reads back.
std::string FormatSize(std::uint64_t bytes);
std::string FormatRate(std::uint64_t bytes_per_second);
std::string FormatDuration(milliseconds duration);  // not negative
std::string FormatMode(std::uint64_t mode);         // "0660"

}  // namespace lazaret::config
