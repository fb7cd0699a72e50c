#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "config/command_line.h"
#include "main/jobs_command.h"
#include "main/override_command.h"
#include "main/serve.h"
#include "main/signature_command.h"

namespace {

int Print(const std::string& text, int exit_code) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? exit_code : 1;
}

struct Runner {
  int operator()(const lazaret::config::Serve& serve) const { return lazaret::RunServer(serve.config); }
  int operator()(const lazaret::config::ConfigCheck& check) const { return Print(check.text, check.exit_code); }
  int operator()(const lazaret::config::ConfigSample& sample) const { return Print(sample.text, 0); }
  int operator()(const lazaret::config::Jobs& jobs) const { return lazaret::RunJobs(jobs); }
  int operator()(const lazaret::config::Overrides& overrides) const { return lazaret::RunOverrides(overrides); }
  int operator()(const lazaret::config::Signatures& order) const { return lazaret::RunSignatures(order); }
  int operator()(const lazaret::config::Help& help) const { return Print(help.text, 0); }
  int operator()(const lazaret::config::Version& version) const {
    return Print(version.json ? fmt::format("{{\"name\":\"lazaret\",\"version\":\"{}\"}}\n", LAZARET_VERSION)
                              : fmt::format("lazaret {}\n", LAZARET_VERSION),
                 0);
  }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto command = lazaret::config::ParseCommandLine(arguments, lazaret::config::CurrentSurroundings(environ));
    if (!command) {
      fmt::print(stderr, "{}", command.error().what);
      return lazaret::config::kUsageExitCode;
    }
    return std::visit(Runner{}, *command);
  } catch (const std::exception& error) {
    fmt::print(stderr, "lazaret: internal error: {}\n", error.what());
    return 1;
  }
}
