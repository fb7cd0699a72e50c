#include "config/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace lazaret::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// In the order in which they are tried for showing a value.
constexpr std::array kSizeUnits = {
    Unit{"TiB", 1ull << 40},
    Unit{"GiB", 1ull << 30},
    Unit{"MiB", 1ull << 20},
    Unit{"KiB", 1ull << 10},
    Unit{"TB", 1'000'000'000'000},
    Unit{"GB", 1'000'000'000},
    Unit{"MB", 1'000'000},
    Unit{"KB", 1'000},
    Unit{"kB", 1'000},
    Unit{"B", 1},
};
constexpr std::array kDurationUnits = {
    Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1},
};

Number<std::uint64_t> ParseDigits(std::string_view text, std::string_view digits) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of(digits) != text.npos) return std::unexpected(NumberFault::kSyntax);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, static_cast<int>(digits.size()));
  if (error != std::errc() || negative) return std::unexpected(NumberFault::kOutOfRange);
  return value;
}

Number<std::uint64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0), text.size());
  const auto unit = std::ranges::find(units, text.substr(digits), &Unit::name);
  if (unit == units.end()) return std::unexpected(NumberFault::kSyntax);
  const auto count = ParseCount(text.substr(0, digits));
  if (!count) return count;
  if (*count > std::numeric_limits<std::uint64_t>::max() / unit->factor) {
    return std::unexpected(NumberFault::kOutOfRange);
  }
  return *count * unit->factor;
}

std::string FormatWithUnit(std::uint64_t value, std::span<const Unit> units, std::string_view unit_of_zero) {
  if (value == 0) return "0" + std::string(unit_of_zero);
  const auto unit = std::ranges::find_if(units, [&](const Unit& u) { return value % u.factor == 0; });
  return std::to_string(value / unit->factor) + std::string(unit->name);
}

}  // namespace

Number<std::uint64_t> ParseCount(std::string_view text) { return ParseDigits(text, "0123456789"); }

Number<std::uint64_t> ParseSize(std::string_view text) {
  const bool bare = !text.empty() && text.back() >= '0' && text.back() <= '9';
  return bare ? ParseCount(text) : ParseWithUnit(text, kSizeUnits);
}

Number<std::uint64_t> ParseRate(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  return ParseSize(text);
}

Number<milliseconds> ParseDuration(std::string_view text) {
  const auto value = ParseWithUnit(text, kDurationUnits);
  if (!value) return std::unexpected(value.error());
  if (*value > static_cast<std::uint64_t>(milliseconds::max().count())) {
    return std::unexpected(NumberFault::kOutOfRange);
  }
  return milliseconds(*value);
}

Number<std::uint64_t> ParseMode(std::string_view text) { return ParseDigits(text, "01234567"); }

std::string FormatSize(std::uint64_t bytes) { return FormatWithUnit(bytes, kSizeUnits, "B"); }

std::string FormatRate(std::uint64_t bytes_per_second) { return FormatSize(bytes_per_second) + "/s"; }

std::string FormatDuration(milliseconds duration) {
  return FormatWithUnit(static_cast<std::uint64_t>(duration.count()), kDurationUnits, "s");
}

std::string FormatMode(std::uint64_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) text += static_cast<char>('0' + (mode >> shift & 7));
  return text;
}

}  // namespace lazaret::config
