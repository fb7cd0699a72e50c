#include "main/signature_text.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "main/text.h"

namespace lazaret {

namespace json = boost::json;

namespace {

std::string Line(std::string_view name, std::string_view text) { return fmt::format("{:<13} {}\n", name, text); }

std::uint64_t Number(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  if (value == nullptr) return 0;
  boost::system::error_code failed;
  const auto number = value->to_number<std::uint64_t>(failed);
  return failed ? 0 : number;
}

bool IsTrue(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// Null when there is none.
const json::object* Part(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

std::string Ago(const json::object& object, std::string_view key, WallTime now) {
  const std::string age = AgeOf(object, key, now);
  return age.empty() ? "at an unknown time" : age + " ago";
}

std::string SetText(const json::object& set, WallTime now) {
  const bool is_dated = !Text(set, "built_at").empty();
  return fmt::format("{}: {} signatures, {} {}, loaded {}", Text(set, "label"), Number(set, "signatures"),
                     is_dated ? "built" : "files of", Ago(set, is_dated ? "built_at" : "files_at", now),
                     Ago(set, "loaded_at", now));
}

std::string Lines(const json::object& object, std::string_view key, std::string_view name) {
  std::string lines;
  const json::value* const list = object.if_contains(key);
  if (list == nullptr || !list->is_array()) return lines;
  for (const json::value& one : list->get_array()) {
    if (one.is_string()) lines += Line(name, Printable(std::string_view(one.get_string())));
  }
  return lines;
}

}  // namespace

std::string SignatureStatusText(const json::object& status, WallTime now) {
  const std::string directory = Text(status, "directory");
  std::string text = Line("directory", directory.empty() ? "none: the built-in test set" : directory);
  const json::object* const current = Part(status, "current");
  if (!IsTrue(status, "in_use")) text += Line("in use", "NONE: nothing is scanned");
  if (current != nullptr) {
    text += Line(IsTrue(status, "in_use") ? "in use" : "lost", SetText(*current, now));
    text += Line("digest", Text(*current, "digest"));
  }
  if (const std::string warning = Text(status, "warning"); !warning.empty()) text += Line("TOO OLD", warning);
  if (const json::object* const previous = Part(status, "previous")) {
    text += Line("before", SetText(*previous, now));
  }
  if (const json::object* const candidate = Part(status, "candidate")) {
    const std::string node = Text(*candidate, "waits_for");
    text +=
        Line("candidate", fmt::format("{} for {}{}", Text(*candidate, "phase"), AgeOf(*candidate, "phase_since", now),
                                      node.empty() ? "" : ": now it is that of " + node));
  }
  if (const json::object* const pin = Part(status, "pin")) {
    text += Line("rolled back",
                 fmt::format("{}, {}: {}", Text(*pin, "label"), Ago(*pin, "since", now), Text(*pin, "reason")));
  }
  if (const json::object* const jump = Part(status, "jump")) {
    text += Line("jump", fmt::format("{}: {} of {} contents detected, {} of {} before", Ago(*jump, "at", now),
                                     Number(*jump, "detections_after"), Number(*jump, "scans_after"),
                                     Number(*jump, "detections_before"), Number(*jump, "scans_before")));
  }
  if (const json::object* const refused = Part(status, "refused")) {
    const std::string digest = Text(*refused, "digest");
    text += Line("last refused",
                 fmt::format("{}{}, {}: {}", Text(*refused, "kind"), digest.empty() ? "" : " " + digest.substr(0, 8),
                             Ago(*refused, "at", now), Text(*refused, "reason")));
  }
  return text + Lines(status, "load_errors", "load error");
}

std::string SignatureCheckText(const json::object& check, WallTime now) {
  std::string text = Line("directory", Text(check, "directory"));
  if (check.contains("digest")) {
    text += Line("digest", Text(check, "digest"));
    text += Line("files", fmt::format("{}, {}", Number(check, "files"), ShortSize(Number(check, "bytes"))));
  }
  if (check.contains("label")) {
    text += Line("set", fmt::format("{}: {} signatures, built {}", Text(check, "label"), Number(check, "signatures"),
                                    Ago(check, "built_at", now)));
    text += Line("loaded in", fmt::format("{:.1f}s", static_cast<double>(Number(check, "load_ms")) / 1000));
    text += Line("EICAR", IsTrue(check, "finds_eicar") ? "found" : "not found");
  }
  text += Lines(check, "load_errors", "load error") + Lines(check, "warnings", "warning");
  const json::object* const refused = Part(check, "refused");
  return text +
         (refused == nullptr
              ? Line("verdict", "can be used")
              : Line("verdict", fmt::format("refused: {}: {}", Text(*refused, "kind"), Text(*refused, "reason"))));
}

}  // namespace lazaret
