#include "http/api.h"

#include <boost/asio/error.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "http/problem.h"
#include "http/scan_json.h"

namespace lazaret::http {
namespace {

constexpr std::string_view kUnknownRoute = "unknown";
constexpr std::string_view kBadHeadRoute = "bad-head";
constexpr std::string_view kScanPrefix = "/v1/scans/";
constexpr std::size_t kBytesPerLookedUpId = 80;  // 64 digits, quotes, comma and some white space

std::string_view Status(const ServiceStatus& status) { return status.engine != nullptr ? "ready" : "not-ready"; }

Response Json(std::string body) { return Response{.body = std::move(body) + "\n", .headers = {}}; }

std::string JobsJson(const JobService& jobs, WallTime now) {
  const JobCounts counts = jobs.Counts();
  const auto trouble = jobs.CheckAdmission(0);
  const double age_s = counts.oldest ? std::chrono::duration<double>(now - *counts.oldest).count() : 0;
  return fmt::format(
      R"({{"accepting":{},"reason":"{}","queued":{},"scanning":{},"done":{},"dead_letters":{},"bytes":{},)"
      R"("oldest_age_s":{:.3f},"callbacks":{},"long_polls":{}}})",
      trouble.has_value(), trouble ? "" : EscapeJson(trouble.error().what), counts.queued, counts.leased, counts.done,
      counts.dead, counts.bytes, std::max(age_s, 0.0), jobs.callbacks(), jobs.pollers());
}

// The ids of {"ids":["..."]}; anything else is an error that says what is wrong.
Result<std::vector<Digest>> ParseLookup(std::string_view body, std::size_t most) {
  boost::system::error_code failed;
  const boost::json::value value = boost::json::parse(body, failed);
  if (failed) return Fail(Errc::kMalformed, "the body is not JSON: " + failed.message());
  const boost::json::object* const object = value.if_object();
  const boost::json::value* const ids = object != nullptr ? object->if_contains("ids") : nullptr;
  const boost::json::array* const list = ids != nullptr ? ids->if_array() : nullptr;
  if (list == nullptr) return Fail(Errc::kMalformed, R"(the body must be {"ids":["<scan id>", ...]})");
  if (list->size() > most) {
    return Fail(Errc::kTooLarge, fmt::format("more than {} ids in one look-up (http.max_lookup)", most));
  }
  std::vector<Digest> digests;
  for (const boost::json::value& id : *list) {
    const auto digest = id.is_string() ? Digest::FromHex(id.get_string()) : std::nullopt;
    if (!digest) {
      return Fail(Errc::kMalformed,
                  fmt::format("ids[{}] is not a scan id: 64 lower-case hexadecimal digits", digests.size()));
    }
    digests.push_back(*digest);
  }
  return digests;
}

}  // namespace

struct Api::Route {
  std::string_view pattern;
  std::string_view method;
  aio::Task<Response> (Api::*handle)(Exchange&);

  static const std::array<Route, 8> kAll;
};

constexpr std::array<Api::Route, 8> Api::Route::kAll = {
    Route{"/v1/scan", "POST", &Api::PostScan},
    Route{"/v1/scans", "POST", &Api::PostScans},
    Route{"/v1/scans/lookup", "POST", &Api::PostLookup},
    Route{"/v1/scans/{id}", "GET", &Api::GetScan},
    Route{"/v1/info", "GET", &Api::GetInfo},
    Route{"/healthz", "GET", &Api::GetHealth},
    Route{"/readyz", "GET", &Api::GetReady},
    Route{"/metrics", "GET", &Api::GetMetrics},
};

std::vector<std::string_view> Api::Routes() {
  std::vector<std::string_view> names = {kUnknownRoute, kBadHeadRoute};
  for (const Route& route : Route::kAll) names.push_back(route.pattern);
  return names;
}

Api::Api(ApiSettings settings, ScanService& service, JobService& jobs, Spool& spool,
         SubmitEndpoint::CheckCallback check_callback, const Clock& clock, Log& log, Telemetry& telemetry,
         std::function<std::string()> render_metrics, std::function<bool()> is_draining)
    : settings_(std::move(settings)),
      service_(service),
      jobs_(jobs),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      scan_(settings_.scan, service, spool, clock, telemetry),
      submit_(settings_.scan.max_parts, jobs, spool, std::move(check_callback), clock, telemetry),
      render_metrics_(std::move(render_metrics)),
      is_draining_(std::move(is_draining)),
      started_(clock.SteadyNow()) {}

const Api::Route* Api::FindRoute(std::string_view path) {
  const auto matches = [path](const Route& route) {
    const auto variable = route.pattern.find('{');
    if (variable == std::string_view::npos) return route.pattern == path;
    return path.size() > variable && path.starts_with(route.pattern.substr(0, variable)) &&
           path.find('/', variable) == std::string_view::npos;
  };
  const auto* const route = std::ranges::find_if(Route::kAll, matches);
  return route == Route::kAll.end() ? nullptr : route;
}

aio::Task<Response> Api::Handle(Exchange& exchange) {
  const SteadyTime start = clock_.SteadyNow();
  const Route* const route = FindRoute(exchange.head.path);
  Response response;
  if (route == nullptr) {
    response = Problem(404, "unknown-path", "no such path; the scan API is at POST /v1/scan");
  } else if (exchange.head.expectation == wire::Expectation::kUnsupported) {
    response = Problem(417, "expectation", "only Expect: 100-continue is understood");
  } else if (exchange.head.method != route->method && !(exchange.head.method == "HEAD" && route->method == "GET")) {
    response = Problem(405, "wrong-method", fmt::format("{} takes {}", route->pattern, route->method));
    response.headers.emplace_back("Allow", route->method == "GET" ? "GET, HEAD" : std::string(route->method));
  } else {
    response = co_await Answer(*route, exchange);
  }
  telemetry_.OnRequest(route != nullptr ? route->pattern : kUnknownRoute, response.status, clock_.SteadyNow() - start);
  co_return response;
}

// A handler that throws has met a broken assumption: the client learns that much, and the log the rest.
aio::Task<Response> Api::Answer(const Route& route, Exchange& exchange) {
  std::string what;
  try {
    co_return co_await (this->*route.handle)(exchange);
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) throw;
    what = error.what();
  } catch (const std::exception& error) {
    what = error.what();
  }
  log_.Error("request failed", {{"route", route.pattern}, {"error", what}});
  Response response = Problem(500, "internal", "the server met an error of its own; its log says more");
  response.close = true;
  co_return response;
}

Response Api::OnBadHead(const Error& error) {
  Response response = error.code == Errc::kTimeout    ? Problem(408, "slow-head", error.what)
                      : error.code == Errc::kTooLarge ? Problem(431, "head-too-large", error.what)
                                                      : Problem(400, "bad-head", error.what);
  response.close = true;
  telemetry_.OnRequest(kBadHeadRoute, response.status, seconds(0));
  return response;
}

aio::Task<Response> Api::PostScan(Exchange& exchange) { co_return co_await scan_.Handle(exchange); }

aio::Task<Response> Api::PostScans(Exchange& exchange) { co_return co_await submit_.Handle(exchange); }

aio::Task<Response> Api::GetScan(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.head.path.substr(kScanPrefix.size()));
  if (!id) co_return Problem(400, "bad-id", "a scan id is 64 lower-case hexadecimal digits");
  const auto wait = ParseWait(exchange.head.query, settings_.max_wait);
  if (!wait) co_return ProblemFor(wait.error(), seconds(1));
  Result<ScanState> state = ScanState{};
  if (*wait == milliseconds(0)) {
    state = co_await jobs_.Find(*id);
  } else {
    exchange.body.Release();
    auto held = co_await exchange.UnlessClientLeaves(jobs_.Await(*id, clock_.SteadyNow() + *wait));
    if (!held) co_return Response{.status = kClientLeft, .body = {}, .headers = {}};
    state = *std::move(held);
  }
  if (!state) co_return ProblemFor(state.error(), service_.RetryAfter());
  if (state->status == ScanStatus::kUnknown) {
    co_return Problem(404, "unknown-scan", "no scan of this id is known: it was never made here, or it has expired");
  }
  Response response = Json(ScanJson(*id, "", *state));
  if (!state->answer) response.headers.emplace_back("Retry-After", std::to_string(jobs_.RetryAfter().count()));
  co_return response;
}

aio::Task<Response> Api::PostLookup(Exchange& exchange) {
  const std::size_t most_bytes = (settings_.max_lookup + 10) * kBytesPerLookedUpId;
  std::string text;
  for (;;) {
    const auto bytes = co_await exchange.body.Read();
    if (!bytes) co_return ProblemForBody(bytes.error(), service_.RetryAfter());
    if (bytes->empty()) break;
    if (text.size() + bytes->size() > most_bytes) {
      co_return ProblemForBody({Errc::kTooLarge, fmt::format("a look-up has at most {} bytes", most_bytes)},
                               seconds(1));
    }
    text += AsText(*bytes);
  }
  const auto ids = ParseLookup(text, settings_.max_lookup);
  if (!ids) co_return ProblemFor(ids.error(), service_.RetryAfter());
  std::string out = R"({"scans":[)";
  for (const Digest& id : *ids) {
    const auto state = co_await jobs_.Find(id);
    if (!state) co_return ProblemFor(state.error(), service_.RetryAfter());
    if (out.back() != '[') out += ",\n";
    out += ScanJson(id, "", *state);
  }
  co_return Json(out + "]}");
}

aio::Task<Response> Api::GetInfo(Exchange&) {
  const ServiceStatus status = service_.Status();
  std::string engine = "null";
  std::string isolation;
  if (status.engine != nullptr) {
    engine = EngineJson(*status.engine);
    for (const std::string& layer : status.engine->isolation) {
      isolation += fmt::format(R"({}"{}")", isolation.empty() ? "" : ",", EscapeJson(layer));
    }
  }
  co_return Json(
      fmt::format(R"({{"name":"lazaret","version":"{}","status":"{}","reason":"{}","uptime_s":{},"engine":{},)"
                  R"("signatures":{},"signature_set_digest":"{}","isolation":[{}],)"
                  R"("queue":{{"length":{},"limit":{},"oldest_wait_s":{:.3f},"slots":{}}},"jobs":{},"limits":{}}})",
                  LAZARET_VERSION, Status(status), status.engine != nullptr ? "" : EscapeJson(status.not_ready_reason),
                  std::chrono::floor<seconds>(clock_.SteadyNow() - started_).count(), engine,
                  status.engine != nullptr ? status.engine->signatures : 0,
                  status.engine != nullptr ? status.engine->signature_set.Hex() : "", isolation, status.waiting,
                  status.max_waiting, static_cast<double>(status.oldest_wait.count()) / 1000, status.slots,
                  JobsJson(jobs_, clock_.Now()), settings_.limits_json));
}

aio::Task<Response> Api::GetHealth(Exchange&) { co_return Json(R"({"status":"alive"})"); }

aio::Task<Response> Api::GetReady(Exchange&) {
  if (is_draining_()) co_return ProblemFor({Errc::kUnavailable, "the server is ending"}, seconds(5));
  if (const auto admitted = service_.CheckAdmission(0); !admitted) {
    co_return ProblemFor(admitted.error(), service_.RetryAfter());
  }
  co_return Json(R"({"status":"ready"})");
}

aio::Task<Response> Api::GetMetrics(Exchange&) {
  co_return Response{
      .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = render_metrics_(), .headers = {}};
}

}  // namespace lazaret::http
