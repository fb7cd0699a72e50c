#include "http/scan_options.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "wire/query.h"

namespace lazaret::http {
namespace {

constexpr std::array<std::string_view, 3> kParameters = {"name", "on_infected", "on_unscannable"};

Result<int> StatusOr200(const wire::Query& query, std::string_view name) {
  const auto text = query.Find(name);
  if (!text) return std::unexpected(text.error());
  if (!*text) return 200;
  static constexpr std::array<std::pair<std::string_view, int>, 4> kStatuses = {
      {{"200", 200}, {"403", 403}, {"406", 406}, {"422", 422}}};
  const auto* const status = std::ranges::find(kStatuses, **text, &std::pair<std::string_view, int>::first);
  if (status == kStatuses.end()) return Fail(Errc::kMalformed, fmt::format("{} must be 200, 403, 406 or 422", name));
  return status->second;
}

}  // namespace

int ScanOptions::StatusFor(const Verdict& verdict) const {
  switch (verdict.kind()) {
    case VerdictKind::kClean: return 200;
    case VerdictKind::kInfected: return infected_status;
    case VerdictKind::kUnscannable: break;
  }
  return unscannable_status;
}

Result<ScanOptions> ParseScanOptions(std::string_view text) {
  ScanOptions options;
  if (text.empty()) return options;
  const auto query = wire::Query::Parse(text);
  if (!query) return std::unexpected(query.error());
  for (const wire::Query::Parameter& parameter : query->parameters()) {
    if (std::ranges::find(kParameters, parameter.name) == kParameters.end()) {
      return Fail(Errc::kMalformed, fmt::format("there is no parameter \"{}\"; there are {}, {} and {}",
                                                std::string_view(parameter.name).substr(0, 64), kParameters[0],
                                                kParameters[1], kParameters[2]));
    }
  }
  const auto name = query->Find("name");
  if (!name) return std::unexpected(name.error());
  if (*name) options.name = **name;
  if (options.name.size() > kMaxNameBytes) {
    return Fail(Errc::kMalformed, fmt::format("a name has at most {} bytes", kMaxNameBytes));
  }
  const auto infected = StatusOr200(*query, "on_infected");
  if (!infected) return std::unexpected(infected.error());
  const auto unscannable = StatusOr200(*query, "on_unscannable");
  if (!unscannable) return std::unexpected(unscannable.error());
  options.infected_status = *infected;
  options.unscannable_status = *unscannable;
  return options;
}

}  // namespace lazaret::http
