#include "main/jobs_command.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/clock.h"
#include "http/job_endpoint.h"
#include "main/control_client.h"
#include "main/control_command.h"
#include "main/jobs_text.h"

namespace lazaret {
namespace {

namespace json = boost::json;
using Action = config::Jobs::Action;

constexpr std::size_t kIdDigits = 64;

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
      return listed ? 0 : ExplainFailure("", listed.error());
    }
    return RunForEach(jobs_.ids, [this](const std::string& given) { return One(given); });
  }

 private:
  Result<void> List() const {
    std::string target = fmt::format("/v1/jobs?limit={}", jobs_.limit);
    if (!jobs_.state.empty()) target += "&state=" + jobs_.state;
    const auto answer = Ask("GET", target);
    if (!answer) return std::unexpected(answer.error());
    if (jobs_.json) return PrintOut(*answer);
    const auto list = ParseObject(*answer);
    if (!list) return std::unexpected(list.error());
    return PrintOut(JobTable(*list, SystemClock().Now()));
  }

  Result<void> One(const std::string& given) const {
    const auto id = Resolve(given);
    if (!id) return std::unexpected(id.error());
    const std::string path = "/v1/jobs/" + *id;
    const auto answer = jobs_.action == Action::kShow    ? Ask("GET", path)
                        : jobs_.action == Action::kRetry ? Ask("POST", path + "/retry")
                                                         : Ask("DELETE", path);
    if (!answer) return std::unexpected(answer.error());
    if (jobs_.json) return PrintOut(*answer);
    if (jobs_.action == Action::kRetry) return PrintOut(fmt::format("{}  queued again\n", *id));
    if (jobs_.action == Action::kDrop) return PrintOut(fmt::format("{}  dropped\n", *id));
    const auto job = ParseObject(*answer);
    if (!job) return std::unexpected(job.error());
    return PrintOut((given == jobs_.ids.front() ? "" : "\n") + JobDetails(*job, SystemClock().Now()));
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

  Result<std::string> Ask(std::string_view method, const std::string& target) const {
    return AskForBody(client_, method, target);
  }

  const config::Jobs& jobs_;
  ControlClient client_;
};

}  // namespace

int RunJobs(const config::Jobs& jobs) { return JobsCommand(jobs).Run(); }

}  // namespace lazaret
