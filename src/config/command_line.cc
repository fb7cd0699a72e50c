#include "config/command_line.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "config/cli_options.h"
#include "config/describe.h"
#include "config/help.h"
#include "config/jobs_line.h"
#include "config/override_line.h"
#include "config/signature_line.h"

namespace lazaret::config {
namespace {

struct CommandLine {
  CLI::App app{"lazaret"};
  CLI::App* serve;
  CLI::App* config;
  CLI::App* check;
  CLI::App* sample;
  CLI::App* version;
  std::optional<JobsLine> jobs;
  std::optional<OverrideLine> override;
  std::optional<SignatureLine> signatures;

  CommandLine() {
    app.set_help_flag();
    app.add_flag("-h,--help");
    app.add_flag("--version");
    app.allow_extras();
    app.require_subcommand(0, 1);
    serve = AddCommand(app, "serve");
    config = AddCommand(app, "config");
    config->require_subcommand(0, 1);
    check = AddCommand(*config, "check");
    check->add_flag("--json");
    sample = AddCommand(*config, "sample");
    version = AddCommand(app, "version");
    version->add_flag("--json");
    jobs.emplace(app);
    override.emplace(app);
    signatures.emplace(app);
  }
};

}  // namespace

Result<Command> ParseCommandLine(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  // CLI11 would take the next argument as the value.
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--") && argument.find('=') + 1 == argument.size()) {
      return Misuse({argument + " has no value"}, "lazaret --help");
    }
  }
  CommandLine line;
  const SettingOptions serve_options(*line.serve, SettingChoice::kAll);
  const SettingOptions check_options(*line.check, SettingChoice::kAll);
  const auto chosen = [&]() -> const CLI::App& {
    for (const CLI::App* app : {line.check, line.sample, line.config, line.serve, line.version}) {
      if (app->parsed()) return *app;
    }
    return line.app;
  };
  try {
    // CLI11 takes arguments from the back.
    line.app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return Misuse({error.what()}, "lazaret --help");
  }

  if (line.jobs->parsed()) return line.jobs->Read(surroundings);
  if (line.override->parsed()) return line.override->Read(surroundings);
  if (line.signatures->parsed()) return line.signatures->Read(surroundings);
  const CLI::App& app = chosen();
  const bool serves = &app == line.serve;
  const bool checks = &app == line.check;
  const Config defaults = DefaultConfig(surroundings);
  if (Has(app, "--help")) {
    if (serves) return Help{std::string(kServeHelp) + DescribeFields(defaults)};
    if (checks) return Help{std::string(kCheckHelp)};
    if (&app == line.config) return Help{std::string(kConfigHelp)};
    if (&app == line.sample) return Help{std::string(kSampleHelp)};
    if (&app == line.version) return Help{std::string(kVersionHelp)};
    return Help{std::string(kHelp)};
  }
  const std::string help = serves ? "lazaret serve --help" : checks ? "lazaret config check --help" : "lazaret --help";

  if (&app == &line.app) {
    if (Has(app, "--version") && app.remaining().empty()) return Version{false};
    const std::vector<std::string> rest = app.remaining();
    if (rest.empty() || rest.front().starts_with('-')) {
      return Misuse({"say what to do: serve, config check, config sample, jobs, override, signatures or version"},
                    help);
    }
    const std::string_view near =
        Nearest(rest.front(), {"serve", "config", "jobs", "override", "signatures", "version"});
    return Misuse({"unknown command " + rest.front() + "; the nearest is " + std::string(near)}, help);
  }
  if (&app == line.config && app.remaining().empty()) {
    return Misuse({"say what to do: config check or config sample"}, "lazaret config --help");
  }

  std::vector<std::string> problems = UnexpectedArguments(app);
  if (serves || checks) {
    const SettingOptions& options = serves ? serve_options : check_options;
    std::ranges::copy(options.Mistakes(), std::back_inserter(problems));
    const auto loaded = options.Load(surroundings);
    if (!problems.empty()) {
      if (!loaded) std::ranges::copy(loaded.error(), std::back_inserter(problems));
      return Misuse(std::move(problems), help);
    }
    if (serves && loaded) return Serve{loaded->config};
    if (serves) return Fail(Errc::kMalformed, ProblemsText(loaded.error()) + "See: " + help + "\n");
    const bool json = Has(app, "--json");
    if (loaded) return ConfigCheck{json ? CheckJson(*loaded) : CheckText(*loaded), 0};
    return ConfigCheck{json ? ProblemsJson(loaded.error()) : ProblemsText(loaded.error()), kUsageExitCode};
  }
  if (!problems.empty()) return Misuse(std::move(problems), help);
  if (&app == line.sample) return ConfigSample{SampleFile(defaults)};
  return Version{Has(app, "--json")};
}

Surroundings CurrentSurroundings(const char* const* environment) {
  Surroundings surroundings;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const std::size_t equals = entry.find('=');
    if (equals == entry.npos) continue;
    surroundings.environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  surroundings.root = ::geteuid() == 0;
  return surroundings;
}

}  // namespace lazaret::config
