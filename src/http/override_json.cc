#include "http/override_json.h"

#include <iterator>

#include <fmt/format.h>

#include "base/log.h"

namespace lazaret::http {
namespace {

std::string Members(const Override& entry) {
  std::string out = fmt::format(R"("verdict":"{}")", ToString(entry.kind));
  auto to = std::back_inserter(out);
  if (entry.kind == VerdictKind::kInfected) fmt::format_to(to, R"(,"signature":"{}")", EscapeJson(entry.signature));
  fmt::format_to(to, R"(,"reason":"{}","by":"{}","since":"{}")", EscapeJson(entry.reason), EscapeJson(entry.by),
                 FormatRfc3339(entry.since));
  if (entry.until) fmt::format_to(to, R"(,"until":"{}")", FormatRfc3339(*entry.until));
  return out;
}

}  // namespace

std::string OverrideJson(const Override& entry) { return "{" + Members(entry) + "}"; }

std::string OverrideJsonWithId(const Override& entry) {
  return fmt::format(R"({{"id":"{}",{}}})", entry.id.Hex(), Members(entry));
}

}  // namespace lazaret::http
