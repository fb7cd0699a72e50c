#pragma once

#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "core/job_queue.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/job_endpoint.h"
#include "http/override_endpoint.h"
#include "http/router.h"
#include "http/signature_endpoint.h"

namespace lazaret::http {

// The operator's interface: whoever reaches it may do everything, so it is served on a Unix socket that only the
// server's user can open, never on a port. What an operator can do about one thing is an endpoint of its own; this puts
// the routes of all of them together.
class ControlApi final : public Handler {
 public:
  ControlApi(JobQueue& jobs, OverrideEndpoint::Parts overrides, SignatureEndpoint::Parts signatures, const Clock& clock,
             Log& log, Telemetry& telemetry);

  // Every name that OnRequest of the telemetry is called with.
  static std::vector<std::string_view> Routes();

  aio::Task<Response> Handle(Exchange& exchange) override { return router_.Handle(exchange); }
  Response OnBadHead(const Error& error) override { return router_.OnBadHead(error); }

 private:
  std::vector<Route> AllRoutes();

  JobEndpoint jobs_;
  OverrideEndpoint overrides_;
  SignatureEndpoint signatures_;
  Router router_;
};

}  // namespace lazaret::http
