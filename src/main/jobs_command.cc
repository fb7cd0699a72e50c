#include "main/jobs_command.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/clock.h"
#include "http/job_endpoint.h"
#include "main/control_client.h"
#include "main/jobs_text.h"

namespace lazaret {
namespace {

namespace json = boost::json;
using Action = config::Jobs::Action;

constexpr std::size_t kIdDigits = 64;

Result<json::object> ParseObject(const std::string& body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  if (failed || !value.is_object()) return Fail(Errc::kMalformed, "the server's answer is no JSON object");
  return value.get_object();
}

std::string TextOf(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(std::string_view(value->get_string())) : "";
}

class JobsCommand {
 public:
  explicit JobsCommand(const config::Jobs& jobs) : jobs_(jobs), client_(jobs.data) {}

  int Run() {
    if (jobs_.action == Action::kList) {
      const auto listed = List();
      return listed ? 0 : Explain("", listed.error());
    }
    int status = 0;
    for (const std::string& given : jobs_.ids) {
      const auto done = One(given);
      if (done) continue;
      const int failed = Explain(given, done.error());
      if (status != 1) status = failed;
      // It would say the same about the others.
      if (done.error().code == Errc::kUnavailable || done.error().code == Errc::kTimeout) break;
    }
    return status;
  }

 private:
  Result<void> List() const {
    std::string target = fmt::format("/v1/jobs?limit={}", jobs_.limit);
    if (!jobs_.state.empty()) target += "&state=" + jobs_.state;
    const auto answer = Ask("GET", target);
    if (!answer) return std::unexpected(answer.error());
    if (jobs_.json) return Print(*answer);
    const auto list = ParseObject(*answer);
    if (!list) return std::unexpected(list.error());
    return Print(JobTable(*list, SystemClock().Now()));
  }

  Result<void> One(const std::string& given) const {
    const auto id = Resolve(given);
    if (!id) return std::unexpected(id.error());
    const std::string path = "/v1/jobs/" + *id;
    const auto answer = jobs_.action == Action::kShow    ? Ask("GET", path)
                        : jobs_.action == Action::kRetry ? Ask("POST", path + "/retry")
                                                         : Ask("DELETE", path);
    if (!answer) return std::unexpected(answer.error());
    if (jobs_.json) return Print(*answer);
    if (jobs_.action == Action::kRetry) return Print(fmt::format("{}  queued again\n", *id));
    if (jobs_.action == Action::kDrop) return Print(fmt::format("{}  dropped\n", *id));
    const auto job = ParseObject(*answer);
    if (!job) return std::unexpected(job.error());
    return Print((given == jobs_.ids.front() ? "" : "\n") + JobDetails(*job, SystemClock().Now()));
  }

  // The id that begins with what was given. Only a list that is complete can show that it is the only one.
  Result<std::string> Resolve(const std::string& given) const {
    if (given.size() == kIdDigits) return given;
    const auto answer = Ask("GET", fmt::format("/v1/jobs?limit={}", http::kMostListedJobs));
    if (!answer) return std::unexpected(answer.error());
    const auto list = ParseObject(*answer);
    if (!list) return std::unexpected(list.error());
    const json::value* const jobs = list->if_contains("jobs");
    if (jobs == nullptr || !jobs->is_array()) return Fail(Errc::kMalformed, "the server's answer has no list of jobs");
    if (jobs->get_array().size() >= http::kMostListedJobs) {
      return Fail(Errc::kTooLarge, fmt::format("with {} jobs or more the whole id is needed: {} digits",
                                               http::kMostListedJobs, kIdDigits));
    }
    std::optional<std::string> found;
    for (const json::value& job : jobs->get_array()) {
      const std::string id = job.is_object() ? TextOf(job.get_object(), "id") : "";
      if (!id.starts_with(given)) continue;
      if (found) return Fail(Errc::kMalformed, "several jobs begin like this; give more digits");
      found = id;
    }
    if (!found) return Fail(Errc::kNotFound, "there is no job whose id begins like this");
    return *found;
  }

  // The body of a 200. kNotFound for a job that is unknown, otherwise what the server says is wrong.
  Result<std::string> Ask(std::string_view method, const std::string& target) const {
    const auto answer = client_.Ask(method, target);
    if (!answer) return std::unexpected(answer.error());
    if (answer->status == 200) return answer->body;
    const auto problem = ParseObject(answer->body);
    if (!problem) return std::unexpected(problem.error());
    return Fail(answer->status == 404 ? Errc::kNotFound : Errc::kInternal, TextOf(*problem, "detail"));
  }

  static Result<void> Print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) == 0) return {};
    return std::unexpected(SystemError("cannot write to standard output", errno));
  }

  static int Explain(std::string_view about, const Error& error) {
    fmt::print(stderr, "lazaret: {}{}{}\n", about, about.empty() ? "" : ": ", Printable(error.what));
    return error.code == Errc::kNotFound ? config::kUnknownJobExitCode : 1;
  }

  const config::Jobs& jobs_;
  ControlClient client_;
};

}  // namespace

int RunJobs(const config::Jobs& jobs) { return JobsCommand(jobs).Run(); }

}  // namespace lazaret
