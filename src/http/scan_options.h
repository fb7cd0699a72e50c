#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "core/verdict.h"

namespace lazaret::http {

inline constexpr std::size_t kMaxNameBytes = 1024;  // of the client's own name for a content

// What the query of a scan request asks for.
struct ScanOptions {
  int infected_status = 200;
  int unscannable_status = 200;
  std::string name;

  int StatusFor(VerdictKind kind) const;
};

// What the query of a submit asks for.
struct SubmitOptions {
  std::string name;
  std::optional<std::string> callback;  // an URL, not yet looked at
};

// Each takes a query without its "?". kMalformed for a parameter that does not exist or a value that it cannot have: a
// misspelt on_infected must not be taken for none.
Result<ScanOptions> ParseScanOptions(std::string_view query);
Result<SubmitOptions> ParseSubmitOptions(std::string_view query);
// How long a look-up may be held, "wait" in seconds with a fraction: 0 when it is not given, at most `most`.
Result<milliseconds> ParseWait(std::string_view query, milliseconds most);

}  // namespace lazaret::http
