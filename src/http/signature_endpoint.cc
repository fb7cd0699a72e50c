#include "http/signature_endpoint.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "http/known_query.h"
#include "http/problem.h"
#include "http/user_name.h"

namespace lazaret::http {
namespace {

constexpr seconds kRetryAfter{1};

Response NoSignatures(const std::string& why) { return Problem(409, "no-signatures", why); }

// The one parameter that the query may have.
Result<std::optional<std::string>> ParseOnly(std::string_view query, std::string_view name) {
  const std::array<std::string_view, 1> known = {name};
  const auto parsed = ParseKnownQuery(query, known);
  if (!parsed) return std::unexpected(parsed.error());
  const auto value = parsed->Find(name);
  if (!value) return std::unexpected(value.error());
  return value->transform([](std::string_view text) { return std::string(text); });
}

}  // namespace

constexpr std::array<Call<SignatureEndpoint>, 3> SignatureEndpoint::kCalls = {
    Call<SignatureEndpoint>{"GET", "/v1/signatures", &SignatureEndpoint::Show},
    Call<SignatureEndpoint>{"POST", "/v1/signatures/reload", &SignatureEndpoint::Reload},
    Call<SignatureEndpoint>{"POST", "/v1/signatures/rollback", &SignatureEndpoint::Rollback},
};

std::vector<Route> SignatureEndpoint::Routes() { return BindRoutes<SignatureEndpoint>(*this, kCalls); }

std::vector<std::string_view> SignatureEndpoint::Patterns() { return PatternsOf<SignatureEndpoint>(kCalls); }

aio::Task<Response> SignatureEndpoint::Show(Exchange&) {
  if (!parts_.missing.empty()) co_return NoSignatures(parts_.missing);
  co_return Json(parts_.describe());
}

aio::Task<Response> SignatureEndpoint::Reload(Exchange& exchange) {
  if (!parts_.missing.empty()) co_return NoSignatures(parts_.missing);
  const auto force = ParseOnly(exchange.head.query, "force");
  if (!force) co_return ProblemFor(force.error(), kRetryAfter);
  if (*force && !(*force)->empty()) co_return Problem(400, "malformed", "force has no value");
  const bool forced = force->has_value();
  log_.Warning("signatures reloaded by the operator", {{"force", forced}, {"by", UserName(exchange.input.PeerUser())}});
  co_return co_await AnswerWhenDone(exchange, parts_.reload(forced));
}

aio::Task<Response> SignatureEndpoint::Rollback(Exchange& exchange) {
  if (!parts_.missing.empty()) co_return NoSignatures(parts_.missing);
  auto reason = ParseOnly(exchange.head.query, "reason");
  if (!reason) co_return ProblemFor(reason.error(), kRetryAfter);
  if (*reason && (*reason)->size() > kMaxRollbackReason) {
    co_return Problem(400, "malformed", fmt::format("the reason has more than {} bytes", kMaxRollbackReason));
  }
  const std::string user = UserName(exchange.input.PeerUser());
  std::string why = reason->value_or("");
  if (why.empty()) why = "by the operator, without a reason";
  log_.Warning("signatures rolled back by the operator", {{"reason", why}, {"by", user}});
  co_return co_await AnswerWhenDone(exchange, parts_.rollback(fmt::format("{} ({})", why, user)));
}

aio::Task<Response> SignatureEndpoint::AnswerWhenDone(Exchange& exchange, aio::Task<Changed> change) {
  exchange.body.Release();
  // To the end, also when the client has left: so the change does.
  const auto done = co_await std::move(change);
  if (!done) co_return Problem(409, "signatures-not-changed", done.error().what);
  co_return Json(fmt::format(R"({{"changed":{},"signatures":{}}})", *done, parts_.describe()));
}

}  // namespace lazaret::http
