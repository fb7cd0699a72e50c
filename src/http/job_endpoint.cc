#include "http/job_endpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "http/job_json.h"
#include "http/known_query.h"
#include "http/problem.h"

namespace lazaret::http {
namespace {

constexpr seconds kRetryAfter{1};

Response BadId() { return Problem(400, "bad-id", "a job has the id of its scan: 64 lower-case hexadecimal digits"); }

// What the queue says about one job.
Response ProblemForJob(const Error& error) {
  if (error.code == Errc::kNotFound) {
    return Problem(404, "unknown-job", "there is no job of this id: it was never made here, or it has expired");
  }
  if (error.code == Errc::kMalformed) return Problem(409, "not-retryable", error.what);
  return ProblemFor(error, kRetryAfter);
}

Result<JobState> ParseState(std::string_view text) {
  for (const JobState state : {JobState::kQueued, JobState::kLeased, JobState::kDone, JobState::kDead}) {
    if (ToString(state) == text) return state;
  }
  return Fail(Errc::kMalformed, "state must be queued, scanning, done or dead");
}

Result<std::size_t> ParseLimit(std::string_view text) {
  std::size_t limit = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (failed != std::errc() || end != text.data() + text.size() || limit == 0 || limit > kMostListedJobs) {
    return Fail(Errc::kMalformed, fmt::format("limit must be a number from 1 to {}", kMostListedJobs));
  }
  return limit;
}

std::string CountsJson(const JobCounts& counts) {
  return fmt::format(R"({{"{}":{},"{}":{},"{}":{},"{}":{}}})", ToString(JobState::kQueued), counts.queued,
                     ToString(JobState::kLeased), counts.leased, ToString(JobState::kDone), counts.done,
                     ToString(JobState::kDead), counts.dead);
}

}  // namespace

Result<JobFilter> ParseJobFilter(std::string_view query) {
  static constexpr std::array<std::string_view, 2> kParameters = {"state", "limit"};
  const auto parsed = ParseKnownQuery(query, kParameters);
  if (!parsed) return std::unexpected(parsed.error());
  JobFilter filter;
  const auto state = parsed->Find("state");
  if (!state) return std::unexpected(state.error());
  if (*state) {
    const auto wanted = ParseState(**state);
    if (!wanted) return std::unexpected(wanted.error());
    filter.state = *wanted;
  }
  const auto limit = parsed->Find("limit");
  if (!limit) return std::unexpected(limit.error());
  if (*limit) {
    const auto wanted = ParseLimit(**limit);
    if (!wanted) return std::unexpected(wanted.error());
    filter.limit = *wanted;
  }
  return filter;
}

constexpr std::array<Call<JobEndpoint>, 4> JobEndpoint::kCalls = {
    Call<JobEndpoint>{"GET", "/v1/jobs", &JobEndpoint::List},
    Call<JobEndpoint>{"GET", "/v1/jobs/{id}", &JobEndpoint::Show},
    Call<JobEndpoint>{"DELETE", "/v1/jobs/{id}", &JobEndpoint::Drop},
    Call<JobEndpoint>{"POST", "/v1/jobs/{id}/retry", &JobEndpoint::Retry},
};

std::vector<Route> JobEndpoint::Routes() { return BindRoutes<JobEndpoint>(*this, kCalls); }

std::vector<std::string_view> JobEndpoint::Patterns() { return PatternsOf<JobEndpoint>(kCalls); }

aio::Task<Response> JobEndpoint::List(Exchange& exchange) {
  const auto filter = ParseJobFilter(exchange.head.query);
  if (!filter) co_return ProblemFor(filter.error(), kRetryAfter);
  const auto jobs = co_await jobs_.List(*filter);
  if (!jobs) co_return ProblemFor(jobs.error(), kRetryAfter);
  std::string out = R"({"jobs":[)";
  for (const Job& job : *jobs) {
    if (out.back() != '[') out += ",\n";
    out += JobJson(job);
  }
  co_return Json(out + R"(],"counts":)" + CountsJson(jobs_.Counts()) + "}");
}

aio::Task<Response> JobEndpoint::Show(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
  if (!id) co_return BadId();
  co_return co_await ShowNow(*id);
}

aio::Task<Response> JobEndpoint::ShowNow(Digest id) {
  const auto job = co_await jobs_.Find(id);
  if (!job) co_return ProblemForJob(job.error());
  if (!*job) co_return ProblemForJob({Errc::kNotFound, ""});
  co_return Json(JobJson(**job));
}

aio::Task<Response> JobEndpoint::Retry(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
  if (!id) co_return BadId();
  if (const auto revived = co_await jobs_.Revive(*id); !revived) co_return ProblemForJob(revived.error());
  log_.Info("job retried by the operator", {{"id", id->Hex()}});
  co_return co_await ShowNow(*id);
}

aio::Task<Response> JobEndpoint::Drop(Exchange& exchange) {
  const auto id = Digest::FromHex(exchange.variable);
  if (!id) co_return BadId();
  if (const auto dropped = co_await jobs_.Drop(*id); !dropped) co_return ProblemForJob(dropped.error());
  log_.Info("job dropped by the operator", {{"id", id->Hex()}});
  co_return Json(fmt::format(R"({{"id":"{}","dropped":true}})", id->Hex()));
}

}  // namespace lazaret::http
