#include "main/control_command.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>

#include "config/command_line.h"
#include "main/text.h"

namespace lazaret {

namespace json = boost::json;

Result<std::string> AskForBody(const ControlClient& client, std::string_view method, const std::string& target,
                               seconds patience) {
  const auto answer = client.Ask(method, target, patience);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status == 200) return answer->body;
  const auto problem = ParseObject(answer->body);
  if (!problem) return std::unexpected(problem.error());
  return Fail(answer->status == 404 ? Errc::kNotFound : Errc::kInternal, Text(*problem, "detail"));
}

Result<json::object> ParseObject(const std::string& body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  if (failed || !value.is_object()) return Fail(Errc::kMalformed, "the server's answer is no JSON object");
  return value.get_object();
}

Result<void> PrintOut(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) == 0) return {};
  return std::unexpected(SystemError("cannot write to standard output", errno));
}

int ExplainFailure(std::string_view about, const Error& error) {
  fmt::print(stderr, "lazaret: {}{}{}\n", Printable(about), about.empty() ? "" : ": ", Printable(error.what));
  return error.code == Errc::kNotFound ? config::kNotFoundExitCode : 1;
}

int RunForEach(const std::vector<std::string>& given, const std::function<Result<void>(const std::string&)>& run) {
  int status = 0;
  for (const std::string& one : given) {
    const auto done = run(one);
    if (done) continue;
    const int failed = ExplainFailure(one, done.error());
    if (status != 1) status = failed;
    // It would say the same about the others.
    if (done.error().code == Errc::kUnavailable || done.error().code == Errc::kTimeout) break;
  }
  return status;
}

}  // namespace lazaret
