#include "http/known_query.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lazaret::http {

Result<wire::Query> ParseKnownQuery(std::string_view text, std::span<const std::string_view> known) {
  auto query = wire::Query::Parse(text);
  if (!query) return query;
  for (const wire::Query::Parameter& parameter : query->parameters()) {
    if (std::ranges::find(known, parameter.name) != known.end()) continue;
    return Fail(Errc::kMalformed, fmt::format("there is no parameter \"{}\" here; there is: {}",
                                              std::string_view(parameter.name).substr(0, 64), fmt::join(known, ", ")));
  }
  return query;
}

}  // namespace lazaret::http
