#include "main/jobs_text.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "main/text.h"

namespace lazaret {
namespace {

namespace json = boost::json;

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
  std::vector<std::vector<std::string>> rows = {{"ID", "STATE", "SIZE", "AGE", "ATTEMPTS", "OUTCOME"}};
  if (const json::value* const jobs = list.if_contains("jobs"); jobs != nullptr && jobs->is_array()) {
    for (const json::value& job : jobs->get_array()) {
      if (!job.is_object()) continue;
      const json::object& object = job.get_object();
      const auto size = Number(object, "size");
      rows.push_back({Text(object, "id"), Text(object, "state"), size ? ShortSize(*size) : "",
                      AgeOf(object, "submitted_at", now), NumberText(object, "attempts"), Outcome(object)});
    }
  }
  return Table(rows, {false, false, true, true, true, false}) + Counts(list, rows.size() - 1);
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

}  // namespace lazaret
