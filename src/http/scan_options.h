#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/verdict.h"

namespace lazaret::http {

inline constexpr std::size_t kMaxNameBytes = 1024;  // of the client's own name for a content

// What the query of a scan request asks for.
struct ScanOptions {
  int infected_status = 200;
  int unscannable_status = 200;
  std::string name;

  int StatusFor(const Verdict& verdict) const;
};

// `query` comes without its "?". kMalformed for a parameter that does not exist or a value that it cannot have: a
// misspelt on_infected must not be taken for none.
Result<ScanOptions> ParseScanOptions(std::string_view query);

}  // namespace lazaret::http
