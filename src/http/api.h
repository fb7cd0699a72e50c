#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/signature_age.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/router.h"
#include "http/scan_endpoint.h"
#include "http/submit_endpoint.h"
#include "service/job_service.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret::http {

// What an Api answers: everything, or the operator alone.
enum class ApiScope { kEverything, kOperator };

struct ApiSettings {
  ApiScope scope = ApiScope::kEverything;
  ScanEndpointSettings scan;
  std::size_t max_lookup = 1000;   // ids in one look-up
  milliseconds max_wait{60'000};   // of one look-up that is held until the scan is done
  std::string limits_json = "{}";  // for /v1/info
};

// The routes of version 1 of the REST API and the operator's pages beside them.
class Api final : public Handler {
 public:
  // What the operator's pages show. Any thread calls them.
  struct Sources {
    std::function<std::string()> metrics;     // the page of /metrics
    std::function<bool()> is_draining;        // the server is ending
    std::function<std::string()> signatures;  // JSON for /v1/info: where they stand
    std::function<std::string()> fleet;       // JSON for /v1/info: the servers that share the work; may be empty
    std::function<std::optional<OldSignatures>()> old_signatures;
  };

  Api(ApiSettings settings, ScanService& service, JobService& jobs, Spool& spool,
      SubmitEndpoint::CheckCallback check_callback, const Clock& clock, Log& log, Telemetry& telemetry,
      Sources sources);

  // Every name that OnRequest of the telemetry is called with.
  static std::vector<std::string_view> Routes();

  aio::Task<Response> Handle(Exchange& exchange) override { return router_.Handle(exchange); }
  std::optional<Response> HandleNow(Exchange& exchange) override { return router_.HandleNow(exchange); }
  Response OnBadHead(const Error& error) override { return router_.OnBadHead(error); }

 private:
  static const std::array<Call<Api>, 4> kScanCalls;
  static const std::array<Call<Api>, 4> kOperatorCalls;
  std::vector<Route> RoutesFor(ApiScope scope);

  aio::Task<Response> PostScan(Exchange& exchange);
  std::optional<Response> PostScanNow(Exchange& exchange);
  aio::Task<Response> PostScans(Exchange& exchange);
  aio::Task<Response> GetScan(Exchange& exchange);
  std::optional<Response> GetScanNow(Exchange& exchange);
  aio::Task<Response> PostLookup(Exchange& exchange);
  aio::Task<Response> GetInfo(Exchange& exchange);
  aio::Task<Response> GetHealth(Exchange& exchange);
  aio::Task<Response> GetReady(Exchange& exchange);
  aio::Task<Response> GetMetrics(Exchange& exchange);

  const ApiSettings settings_;
  ScanService& service_;
  JobService& jobs_;
  const Clock& clock_;
  ScanEndpoint scan_;
  SubmitEndpoint submit_;
  const Sources sources_;
  const SteadyTime started_;
  Router router_;
};

}  // namespace lazaret::http
