#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "core/override_board.h"
#include "core/override_store.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/router.h"

namespace lazaret::http {

// What the operator asks for when he overrides: everything but whose word it is.
struct OverrideOrder {
  VerdictKind kind;
  std::string signature;  // exactly with kInfected
  std::string reason;
  std::optional<WallTime> until;
};

// "verdict=clean&reason=...", with "signature" for infected, and "until" (RFC 3339 with milliseconds, in UTC) or
// "for_ms" (a number of milliseconds from `now`). kMalformed, with a sentence that says what is wrong, for anything
// else, such as an end that is over already.
Result<OverrideOrder> ParseOverrideOrder(std::string_view query, WallTime now);

// The operator's calls about overrides:
//   GET /v1/overrides          {"overrides":[...],"count":N} (override_json.h), the newest first
//   PUT /v1/overrides/{id}     overrides the content of this id as the query says, also anew; the override
//   DELETE /v1/overrides/{id}  ends it; {"id":"...","removed":true}; 404 "unknown-override"
class OverrideEndpoint {
 public:
  struct Parts {
    OverrideStore& store;
    const OverrideBoard& board;
    std::string node;  // what this server is called where others share its overrides; may be empty
  };

  OverrideEndpoint(Parts parts, Log& log) : parts_(std::move(parts)), log_(log) {}
  OverrideEndpoint(const OverrideEndpoint&) = delete;
  OverrideEndpoint& operator=(const OverrideEndpoint&) = delete;

  // They refer to this object.
  std::vector<Route> Routes();
  static std::vector<std::string_view> Patterns();

 private:
  static const std::array<Call<OverrideEndpoint>, 3> kCalls;

  aio::Task<Response> List(Exchange& exchange);
  aio::Task<Response> Put(Exchange& exchange);
  aio::Task<Response> Remove(Exchange& exchange);

  const Parts parts_;
  Log& log_;
};

}  // namespace lazaret::http
