#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/response.h"

namespace lazaret::http {

// An error as application/problem+json (RFC 9457): `type` is "urn:lazaret:problem:<slug>" and stable, `detail` is
// for people.
Response Problem(int status, std::string_view slug, std::string_view detail);

// The one table from our errors to statuses. `retry_after` becomes a header where coming again later helps.
Response ProblemFor(const Error& error, std::chrono::seconds retry_after);

// The same for an error met while the body was read: a time-out is the client's there (408), and the connection ends.
Response ProblemForBody(const Error& error, std::chrono::seconds retry_after);

}  // namespace lazaret::http
