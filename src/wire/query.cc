#include "wire/query.h"

#include <fmt/format.h>

#include "wire/percent.h"

namespace lazaret::wire {

Result<Query> Query::Parse(std::string_view raw) {
  Query query;
  while (!raw.empty()) {
    const std::size_t end = raw.find('&');
    const std::string_view piece = raw.substr(0, end);
    raw = end == std::string_view::npos ? std::string_view() : raw.substr(end + 1);
    if (piece.empty()) continue;
    if (query.parameters_.size() == kMaxQueryParameters) {
      return Fail(Errc::kTooLarge, fmt::format("the query has more than {} parameters", kMaxQueryParameters));
    }
    const std::size_t equals = piece.find('=');
    auto name = PercentDecode(piece.substr(0, equals), Plus::kIsSpace);
    auto value = equals == std::string_view::npos ? Result<std::string>()
                                                  : PercentDecode(piece.substr(equals + 1), Plus::kIsSpace);
    if (!name || !value) {
      return Fail(Errc::kMalformed, fmt::format("query: {}", (name ? value : name).error().what));
    }
    query.parameters_.push_back({*std::move(name), *std::move(value)});
  }
  return query;
}

Result<std::optional<std::string_view>> Query::Find(std::string_view name) const {
  std::optional<std::string_view> found;
  for (const Parameter& parameter : parameters_) {
    if (parameter.name != name) continue;
    if (found) return Fail(Errc::kMalformed, fmt::format("query parameter {} is given twice", name));
    found = parameter.value;
  }
  return found;
}

}  // namespace lazaret::wire
