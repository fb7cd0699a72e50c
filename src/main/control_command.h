#pragma once

#include <boost/json/object.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "main/control_client.h"

// What the commands have in common that ask a running server over its control socket.
namespace lazaret {

// The body of a 200. kNotFound for a 404, otherwise what the server says is wrong.
Result<std::string> AskForBody(const ControlClient& client, std::string_view method, const std::string& target,
                               seconds patience = kControlPatience);
Result<boost::json::object> ParseObject(const std::string& body);
// To standard output.
Result<void> PrintOut(const std::string& text);

// Says on standard error what went wrong, and what it is about unless that is empty. The exit status of the process:
// config::kNotFoundExitCode or 1.
int ExplainFailure(std::string_view about, const Error& error);

// Does something to each of what was given, and explains what went wrong. The exit status of the process, 0 when all
// went well; config::kNotFoundExitCode only when nothing else went wrong.
int RunForEach(const std::vector<std::string>& given, const std::function<Result<void>(const std::string&)>& run);

}  // namespace lazaret
