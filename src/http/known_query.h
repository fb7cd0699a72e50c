#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "wire/query.h"

namespace lazaret::http {

// The query of a request that takes the parameters of these names and no others: kMalformed with their names.
Result<wire::Query> ParseKnownQuery(std::string_view text, std::span<const std::string_view> known);

}  // namespace lazaret::http
