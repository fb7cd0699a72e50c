#include "http/control_api.h"

namespace lazaret::http {

ControlApi::ControlApi(JobQueue& jobs, const Clock& clock, Log& log, Telemetry& telemetry)
    : jobs_(jobs, log),
      router_(jobs_.Routes(), "no such path; this is the control socket, the scan API has an address of its own", clock,
              log, telemetry) {}

std::vector<std::string_view> ControlApi::Routes() {
  std::vector<std::string_view> names = JobEndpoint::Patterns();
  names.push_back(Router::kUnknownRoute);
  names.push_back(Router::kBadHeadRoute);
  return names;
}

}  // namespace lazaret::http
