#include "http/api.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "http/problem.h"
#include "http/scan_json.h"

namespace lazaret::http {
namespace {

constexpr std::size_t kBytesPerLookedUpId = 80;  // 64 digits, quotes, comma and some white space

std::string_view Status(const ServiceStatus& status) { return status.engine != nullptr ? "ready" : "not-ready"; }

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

constexpr std::array<Call<Api>, 4> Api::kScanCalls = {
    Call<Api>{"POST", "/v1/scan", &Api::PostScan, &Api::PostScanNow},
    Call<Api>{"POST", "/v1/scans", &Api::PostScans},
    Call<Api>{"POST", "/v1/scans/lookup", &Api::PostLookup},
    Call<Api>{"GET", "/v1/scans/{id}", &Api::GetScan, &Api::GetScanNow},
};

constexpr std::array<Call<Api>, 4> Api::kOperatorCalls = {
    Call<Api>{"GET", "/v1/info", &Api::GetInfo},
    Call<Api>{"GET", "/healthz", &Api::GetHealth},
    Call<Api>{"GET", "/readyz", &Api::GetReady},
    Call<Api>{"GET", "/metrics", &Api::GetMetrics},
};

std::vector<std::string_view> Api::Routes() {
  std::vector<std::string_view> names = PatternsOf<Api>(kScanCalls);
  std::ranges::copy(PatternsOf<Api>(kOperatorCalls), std::back_inserter(names));
  names.push_back(Router::kUnknownRoute);
  names.push_back(Router::kBadHeadRoute);
  return names;
}

Api::Api(ApiSettings settings, ScanService& service, JobService& jobs, Spool& spool,
         SubmitEndpoint::CheckCallback check_callback, const Clock& clock, Log& log, Telemetry& telemetry,
         Sources sources)
    : settings_(std::move(settings)),
      service_(service),
      jobs_(jobs),
      clock_(clock),
      scan_(settings_.scan, service, spool, clock, telemetry),
      submit_({settings_.scan.max_parts, settings_.scan.request_timeout}, jobs, spool, std::move(check_callback), clock,
              telemetry),
      sources_(std::move(sources)),
      started_(clock.SteadyNow()),
      router_(RoutesFor(settings_.scope),
              settings_.scope == ApiScope::kEverything
                  ? "no such path; the scan API is at POST /v1/scan"
                  : "no such path; this server is a worker: scans go to one of another role",
              clock, log, telemetry) {}

std::vector<Route> Api::RoutesFor(ApiScope scope) {
  // Scans first: they are what is asked for most.
  std::vector<Route> routes;
  if (scope == ApiScope::kEverything) routes = BindRoutes<Api>(*this, kScanCalls);
  std::ranges::move(BindRoutes<Api>(*this, kOperatorCalls), std::back_inserter(routes));
  return routes;
}

aio::Task<Response> Api::PostScan(Exchange& exchange) { return scan_.Handle(exchange); }

std::optional<Response> Api::PostScanNow(Exchange& exchange) { return scan_.HandleNow(exchange); }

aio::Task<Response> Api::PostScans(Exchange& exchange) { return submit_.Handle(exchange); }

aio::Task<Response> Api::GetScan(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
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

std::optional<Response> Api::GetScanNow(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
  if (!id || !exchange.head.query.empty() || !exchange.body.is_complete()) return std::nullopt;
  const auto state = jobs_.FindNow(*id);
  if (!state) return std::nullopt;
  return Json(ScanJson(*id, "", *state));
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
  co_return Json(fmt::format(
      R"({{"name":"lazaret","version":"{}","status":"{}","reason":"{}","uptime_s":{},"engine":{},)"
      R"("signatures":{},"signature_set_digest":"{}","signature_status":{},"isolation":[{}],)"
      R"("queue":{{"length":{},"short_length":{},"long_length":{},"limit":{},"oldest_wait_s":{:.3f},"slots":{}}},"overrides":{},"jobs":{},"fleet":{},"limits":{}}})",
      LAZARET_VERSION, Status(status), status.engine != nullptr ? "" : EscapeJson(status.not_ready_reason),
      std::chrono::floor<seconds>(clock_.SteadyNow() - started_).count(), engine,
      status.engine != nullptr ? status.engine->signatures : 0,
      status.engine != nullptr ? status.engine->signature_set.Hex() : "", sources_.signatures(), isolation,
      status.waiting, status.waiting - status.long_waiting, status.long_waiting, status.max_waiting,
      static_cast<double>(status.oldest_wait.count()) / 1000, status.slots, status.overrides,
      JobsJson(jobs_, clock_.Now()), sources_.fleet ? sources_.fleet() : "null", settings_.limits_json));
}

aio::Task<Response> Api::GetHealth(Exchange&) { co_return Json(R"({"status":"alive"})"); }

aio::Task<Response> Api::GetReady(Exchange&) {
  if (sources_.is_draining()) co_return ProblemFor({Errc::kUnavailable, "the server is ending"}, seconds(5));
  if (const auto admitted = service_.CheckAdmission(0); !admitted) {
    co_return ProblemFor(admitted.error(), service_.RetryAfter());
  }
  const auto old = sources_.old_signatures();
  if (!old) co_return Json(R"({"status":"ready"})");
  if (old->fails) {
    Response refusal = Problem(503, "signatures-too-old", old->text);
    refusal.headers.emplace_back("Retry-After", "60");
    co_return refusal;
  }
  co_return Json(fmt::format(R"({{"status":"ready","warning":"{}"}})", EscapeJson(old->text)));
}

aio::Task<Response> Api::GetMetrics(Exchange&) {
  co_return Response{
      .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = sources_.metrics(), .headers = {}};
}

}  // namespace lazaret::http
