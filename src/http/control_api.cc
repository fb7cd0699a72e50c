#include "http/control_api.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lazaret::http {

ControlApi::ControlApi(JobQueue& jobs, OverrideEndpoint::Parts overrides, SignatureEndpoint::Parts signatures,
                       const Clock& clock, Log& log, Telemetry& telemetry)
    : jobs_(jobs, log),
      overrides_(std::move(overrides), log),
      signatures_(std::move(signatures), log),
      router_(AllRoutes(), "no such path; this is the control socket, the scan API has an address of its own", clock,
              log, telemetry) {}

std::vector<Route> ControlApi::AllRoutes() {
  std::vector<Route> routes = jobs_.Routes();
  std::ranges::move(overrides_.Routes(), std::back_inserter(routes));
  std::ranges::move(signatures_.Routes(), std::back_inserter(routes));
  return routes;
}

std::vector<std::string_view> ControlApi::Routes() {
  std::vector<std::string_view> names = JobEndpoint::Patterns();
  std::ranges::copy(OverrideEndpoint::Patterns(), std::back_inserter(names));
  std::ranges::copy(SignatureEndpoint::Patterns(), std::back_inserter(names));
  names.push_back(Router::kUnknownRoute);
  names.push_back(Router::kBadHeadRoute);
  return names;
}

}  // namespace lazaret::http
