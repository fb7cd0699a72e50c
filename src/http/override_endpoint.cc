#include "http/override_endpoint.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "http/known_query.h"
#include "http/override_json.h"
#include "http/problem.h"
#include "http/user_name.h"

namespace lazaret::http {
namespace {

constexpr seconds kRetryAfter{1};
constexpr milliseconds kLongest = std::chrono::days(3650);

Response BadId() {
  return Problem(400, "bad-id", "an override has the id of its content: 64 lower-case hexadecimal digits");
}

Response ProblemForOverride(const Error& error) {
  if (error.code == Errc::kNotFound) return Problem(404, "unknown-override", "there is no override of this content");
  if (error.code == Errc::kTooLarge) return Problem(409, "too-many-overrides", error.what);
  return ProblemFor(error, kRetryAfter);
}

Result<VerdictKind> ParseKind(std::optional<std::string_view> text) {
  for (const VerdictKind kind : {VerdictKind::kClean, VerdictKind::kInfected}) {
    if (text == ToString(kind)) return kind;
  }
  return Fail(Errc::kMalformed, "verdict must be clean or infected");
}

Result<std::optional<WallTime>> ParseEnd(std::optional<std::string_view> until, std::optional<std::string_view> for_ms,
                                         WallTime now) {
  if (until && for_ms) return Fail(Errc::kMalformed, "give until or for_ms, not both");
  std::optional<WallTime> end;
  if (until) {
    end = ParseRfc3339(*until);
    if (!end) return Fail(Errc::kMalformed, "until must be a time such as 2026-11-23T15:40:00.000Z");
  } else if (for_ms) {
    milliseconds::rep count = 0;
    const auto [rest, failed] = std::from_chars(for_ms->data(), for_ms->data() + for_ms->size(), count);
    if (failed != std::errc() || rest != for_ms->data() + for_ms->size() || count < 1 || count > kLongest.count()) {
      return Fail(Errc::kMalformed, fmt::format("for_ms must be a number from 1 to {}", kLongest.count()));
    }
    end = now + milliseconds(count);
  }
  if (end && *end <= now) return Fail(Errc::kMalformed, "until is over already");
  return end;
}

}  // namespace

Result<OverrideOrder> ParseOverrideOrder(std::string_view text, WallTime now) {
  static constexpr std::array<std::string_view, 5> kParameters = {"verdict", "signature", "reason", "until", "for_ms"};
  const auto query = ParseKnownQuery(text, kParameters);
  if (!query) return std::unexpected(query.error());
  std::array<std::optional<std::string_view>, kParameters.size()> values;
  for (std::size_t i = 0; i < kParameters.size(); ++i) {
    const auto value = query->Find(kParameters[i]);
    if (!value) return std::unexpected(value.error());
    values[i] = *value;
  }
  const auto& [verdict, signature, reason, until, for_ms] = values;
  const auto kind = ParseKind(verdict);
  if (!kind) return std::unexpected(kind.error());
  const auto end = ParseEnd(until, for_ms, now);
  if (!end) return std::unexpected(end.error());
  const std::string_view name = signature.value_or(*kind == VerdictKind::kInfected ? kOverrideSignature : "");
  return OverrideOrder{
      .kind = *kind, .signature = std::string(name), .reason = std::string(reason.value_or("")), .until = *end};
}

constexpr std::array<Call<OverrideEndpoint>, 3> OverrideEndpoint::kCalls = {
    Call<OverrideEndpoint>{"GET", "/v1/overrides", &OverrideEndpoint::List},
    Call<OverrideEndpoint>{"PUT", "/v1/overrides/{id}", &OverrideEndpoint::Put},
    Call<OverrideEndpoint>{"DELETE", "/v1/overrides/{id}", &OverrideEndpoint::Remove},
};

std::vector<Route> OverrideEndpoint::Routes() { return BindRoutes<OverrideEndpoint>(*this, kCalls); }

std::vector<std::string_view> OverrideEndpoint::Patterns() { return PatternsOf<OverrideEndpoint>(kCalls); }

aio::Task<Response> OverrideEndpoint::List(Exchange&) {
  const std::vector<OverridePtr> all = parts_.board.List();
  std::string out = R"({"overrides":[)";
  for (const OverridePtr& entry : all) {
    if (out.back() != '[') out += ",\n";
    out += OverrideJsonWithId(*entry);
  }
  co_return Json(out + fmt::format(R"(],"count":{}}})", all.size()));
}

aio::Task<Response> OverrideEndpoint::Put(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
  if (!id) co_return BadId();
  const WallTime now = parts_.board.Now();
  auto order = ParseOverrideOrder(exchange.head.query, now);
  if (!order) co_return ProblemFor(order.error(), kRetryAfter);
  const std::string user = UserName(exchange.input.PeerUser());
  const Override entry{.id = *id,
                       .kind = order->kind,
                       .signature = std::move(order->signature),
                       .reason = std::move(order->reason),
                       .by = parts_.node.empty() ? user : user + "@" + parts_.node,
                       .since = now,
                       .until = order->until};
  if (const auto good = CheckOverride(entry); !good) co_return ProblemFor(good.error(), kRetryAfter);
  if (const auto put = co_await parts_.store.Put(entry); !put) co_return ProblemForOverride(put.error());
  // Whatever is logged besides: an operator's word against an engine's must not be lost with log.level=warning.
  log_.Warning("override added by the operator", {{"id", id->Hex()},
                                                  {"verdict", ToString(entry.kind)},
                                                  {"signature", entry.signature.empty() ? "-" : entry.signature},
                                                  {"reason", entry.reason},
                                                  {"until", entry.until ? FormatRfc3339(*entry.until) : "-"},
                                                  {"by", entry.by}});
  co_return Json(OverrideJsonWithId(entry));
}

aio::Task<Response> OverrideEndpoint::Remove(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
  if (!id) co_return BadId();
  if (const auto removed = co_await parts_.store.Remove(*id); !removed) {
    co_return ProblemForOverride(removed.error());
  }
  log_.Warning("override removed by the operator", {{"id", id->Hex()}, {"by", UserName(exchange.input.PeerUser())}});
  co_return Json(fmt::format(R"({{"id":"{}","removed":true}})", id->Hex()));
}

}  // namespace lazaret::http
