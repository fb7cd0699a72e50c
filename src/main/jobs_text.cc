#include "main/jobs_text.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace lazaret {
namespace {

namespace json = boost::json;

std::string Text(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return "";
  return Printable(std::string_view(value->get_string()));
}

std::optional<std::uint64_t> Number(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::system::error_code failed;
  const auto number = value->to_number<std::uint64_t>(failed);
  return failed ? std::nullopt : std::optional(number);
}

std::string NumberText(const json::object& object, std::string_view key) {
  const auto number = Number(object, key);
  return number ? std::to_string(*number) : "";
}

std::string Signatures(const json::object& job) {
  std::string names;
  const json::value* const list = job.if_contains("signatures");
  if (list == nullptr || !list->is_array()) return names;
  for (const json::value& name : list->get_array()) {
    if (!name.is_string()) continue;
    names += (names.empty() ? "" : ", ") + Printable(std::string_view(name.get_string()));
  }
  return names;
}

// What came of a job, in a few words.
std::string Outcome(const json::object& job) {
  const std::string verdict = Text(job, "verdict");
  const std::string more = verdict == "infected" ? Signatures(job) : verdict.empty() ? "" : Text(job, "reason");
  if (verdict.empty()) return Text(job, "note");
  return more.empty() ? verdict : verdict + ": " + more;
}

std::string AgeOf(const json::object& job, std::string_view key, WallTime now) {
  const auto time = ParseRfc3339(Text(job, key));
  return time ? Age(*time, now) : "";
}

constexpr std::size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;
// The last column is as wide as it has to be.
constexpr std::array<bool, kColumns> kRightAligned = {false, false, true, true, true, false};

std::string Line(const Row& row, const std::array<std::size_t, kColumns>& widths) {
  std::string line;
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (i > 0) line += "  ";
    line += kRightAligned[i] ? fmt::format("{:>{}}", row[i], widths[i]) : fmt::format("{:<{}}", row[i], widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string Counts(const json::object& list, std::size_t shown) {
  const json::value* const counts = list.if_contains("counts");
  if (counts == nullptr || !counts->is_object()) return "";
  std::uint64_t all = 0;
  std::string parts;
  for (const std::string_view state : {"queued", "scanning", "done", "dead"}) {
    const std::uint64_t count = Number(counts->get_object(), state).value_or(0);
    all += count;
    parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", count, state);
  }
  return fmt::format("\n{} of {} jobs shown ({})\n", shown, all, parts);
}

}  // namespace

std::string JobTable(const json::object& list, WallTime now) {
  std::vector<Row> rows = {{"ID", "STATE", "SIZE", "AGE", "ATTEMPTS", "OUTCOME"}};
  if (const json::value* const jobs = list.if_contains("jobs"); jobs != nullptr && jobs->is_array()) {
    for (const json::value& job : jobs->get_array()) {
      if (!job.is_object()) continue;
      const json::object& object = job.get_object();
      const auto size = Number(object, "size");
      rows.push_back({Text(object, "id"), Text(object, "state"), size ? ShortSize(*size) : "",
                      AgeOf(object, "submitted_at", now), NumberText(object, "attempts"), Outcome(object)});
    }
  }
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) text += Line(row, widths);
  return text + Counts(list, rows.size() - 1);
}

std::string JobDetails(const json::object& job, WallTime now) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<10}  {}\n", name, value);
  };
  const auto time = [&](std::string_view key) {
    const std::string at = Text(job, key);
    const std::string age = AgeOf(job, key, now);
    return age.empty() ? at : fmt::format("{} ({} ago)", at, age);
  };
  add("id", Text(job, "id"));
  add("state", Text(job, "state"));
  if (const auto size = Number(job, "size")) add("size", fmt::format("{} ({} bytes)", ShortSize(*size), *size));
  add("submitted", time("submitted_at"));
  add("finished", time("finished_at"));
  add("attempts", NumberText(job, "attempts"));
  add("lost", NumberText(job, "lost"));
  if (const json::value* const kept = job.if_contains("has_content"); kept != nullptr && kept->is_bool()) {
    add("content", kept->get_bool() ? "kept" : "deleted");
  }
  add("verdict", Text(job, "verdict"));
  add("signatures", Signatures(job));
  add("reason", Text(job, "reason"));
  add("detail", Text(job, "detail"));
  add("scanned", Text(job, "scanned_at"));
  if (const json::value* const engine = job.if_contains("engine"); engine != nullptr && engine->is_object()) {
    const json::object& object = engine->get_object();
    add("engine",
        fmt::format("{} {}, {}", Text(object, "name"), Text(object, "version"), Text(object, "signature_set")));
  }
  add("note", Text(job, "note"));
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
