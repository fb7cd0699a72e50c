#include "main/text.h"

#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace lazaret {

namespace json = boost::json;

std::string Text(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return "";
  return Printable(std::string_view(value->get_string()));
}

std::string AgeOf(const json::object& object, std::string_view key, WallTime now) {
  const auto time = ParseRfc3339(Text(object, key));
  return time ? Age(*time, now) : "";
}

std::string Table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right_aligned) {
  // The last column is as wide as it has to be.
  std::vector<std::size_t> widths(right_aligned.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += right_aligned[i] ? fmt::format("{:>{}}", row[i], widths[i]) : fmt::format("{:<{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string Age(WallTime time, WallTime now) {
  const auto age = std::max<seconds::rep>(std::chrono::floor<seconds>(now - time).count(), 0);
  if (age < 60) return fmt::format("{}s", age);
  if (age < 60 * 60) return fmt::format("{}m", age / 60);
  if (age < 24 * 60 * 60) return fmt::format("{}h", age / (60 * 60));
  return fmt::format("{}d", age / (24 * 60 * 60));
}

std::string ShortSize(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{}B", bytes);
  constexpr std::array<std::string_view, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.5 && unit + 1 < kUnits.size(); value /= 1024) ++unit;
  return value < 9.95 ? fmt::format("{:.1f}{}", value, kUnits[unit]) : fmt::format("{:.0f}{}", value, kUnits[unit]);
}

std::string Printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters, too.
    const bool c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) ++i;
    out += c < ' ' || c == 0x7F || c1 ? '?' : text[i];
  }
  return out;
}

}  // namespace lazaret
