#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/log.h"
#include "base/result.h"
#include "core/job_queue.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/router.h"

namespace lazaret::http {

// The most jobs that one answer shows.
inline constexpr std::size_t kMostListedJobs = 10'000;

// Which jobs "state=dead&limit=5" asks for; every parameter may be left out. kMalformed for anything else, with a
// sentence that says what is wrong.
Result<JobFilter> ParseJobFilter(std::string_view query);

// The operator's calls about jobs:
//   GET /v1/jobs?state=queued|scanning|done|dead&limit=N  {"jobs":[...],"counts":{...}}, the newest first
//   GET /v1/jobs/{id}                                     the job (job_json.h); 404 "unknown-job"
//   POST /v1/jobs/{id}/retry                              lets a dead letter begin again; the job; 409 "not-retryable"
//   DELETE /v1/jobs/{id}                                  forgets it, whatever its state; {"id":"...","dropped":true}
class JobEndpoint {
 public:
  JobEndpoint(JobQueue& jobs, Log& log) : jobs_(jobs), log_(log) {}
  JobEndpoint(const JobEndpoint&) = delete;
  JobEndpoint& operator=(const JobEndpoint&) = delete;

  // They refer to this object.
  std::vector<Route> Routes();
  static std::vector<std::string_view> Patterns();

 private:
  static const std::array<Call<JobEndpoint>, 4> kCalls;

  aio::Task<Response> List(Exchange& exchange);
  aio::Task<Response> Show(Exchange& exchange);
  aio::Task<Response> Retry(Exchange& exchange);
  aio::Task<Response> Drop(Exchange& exchange);
  aio::Task<Response> ShowNow(Digest id);

  JobQueue& jobs_;
  Log& log_;
};

}  // namespace lazaret::http
