#include "http/problem.h"

#include <fmt/format.h>

#include "base/log.h"

namespace lazaret::http {
namespace {

struct Row {
  int status;
  std::string_view slug;
  bool retry;
};

Row RowFor(Errc code) {
  switch (code) {
    case Errc::kMalformed: return {400, "malformed", false};
    case Errc::kTooLarge: return {413, "too-large", false};
    case Errc::kNotFound: return {404, "not-found", false};
    case Errc::kTimeout: return {504, "deadline-passed", true};
    case Errc::kOverloaded: return {503, "overloaded", true};
    case Errc::kUnavailable: return {503, "not-ready", true};
    case Errc::kCancelled: return {503, "cancelled", true};
    case Errc::kDisconnected: return {400, "incomplete-body", false};
    case Errc::kCorrupt: return {500, "corrupt-store", false};
    case Errc::kInternal: return {500, "internal", false};
  }
  return {500, "internal", false};
}

}  // namespace

Response Problem(int status, std::string_view slug, std::string_view detail) {
  Response response{.status = status, .content_type = "application/problem+json", .body = {}, .headers = {}};
  response.body = fmt::format(R"({{"type":"urn:lazaret:problem:{}","title":"{}","status":{},"detail":"{}"}})"
                              "\n",
                              slug, ReasonPhrase(status), status, EscapeJson(detail));
  return response;
}

Response ProblemFor(const Error& error, std::chrono::seconds retry_after) {
  const Row row = RowFor(error.code);
  Response response = Problem(row.status, row.slug, error.what);
  if (row.retry) response.headers.emplace_back("Retry-After", std::to_string(retry_after.count()));
  return response;
}

Response ProblemForBody(const Error& error, std::chrono::seconds retry_after) {
  Response response = error.code == Errc::kTimeout ? Problem(408, "slow-body", error.what)
                                                   : ProblemFor(error, retry_after);
  response.close = true;
  return response;
}

}  // namespace lazaret::http
