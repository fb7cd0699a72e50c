#include "config/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "config/describe.h"
#include "config/field.h"

namespace lazaret::config {
namespace {

constexpr std::string_view kHelp =
    R"(lazaret - a virus scanning service: send it a file, learn whether it is clean.

Usage:
  lazaret serve [OPTION]...            run the service
  lazaret config check [OPTION]...     show every setting in use and where it comes from, or what is wrong
  lazaret config sample                print a commented configuration file
  lazaret version [--json]             print the versions
  lazaret COMMAND --help               more about one command

Examples:
  lazaret serve --data ./data --test-signatures
  lazaret config sample > lazaret.toml
  lazaret config check --config lazaret.toml
  lazaret serve --config lazaret.toml --listen 0.0.0.0:8484 --listen [::]:8484

Exit status: 0 when all went well, 1 when the service failed, 2 when the command line or the configuration is wrong.
)";

constexpr std::string_view kServeHelp =
    R"(lazaret serve - run the scanning service until SIGTERM.

Usage:
  lazaret serve [--config FILE] [OPTION]... [--set KEY=VALUE]...

Examples:
  lazaret serve --data ./data --test-signatures
  lazaret serve --config /etc/lazaret/lazaret.toml
  lazaret serve --listen 0.0.0.0:8484 --max-size 500MB --set http.idle_timeout=2m
  LAZARET_HTTP_MAX_CONNECTIONS=20000 lazaret serve --log-format json

Options:
  --config FILE      read settings from this TOML file; LAZARET_CONFIG may name it, too
  --set KEY=VALUE    set any of the settings below; may be repeated
  -h, --help         show this text

Every setting can be given in the file, then in the environment, then on the command line; the later one counts.
The variable for http.max_connections is LAZARET_HTTP_MAX_CONNECTIONS. Sizes: 64KiB, 2GiB, 500MB or bytes.
Times: 500ms, 30s, 5m, 2h, 7d. Lists: separated by commas, or by repeating the flag.

Settings:
)";

constexpr std::string_view kCheckHelp =
    R"(lazaret config check - show every setting in use and where it comes from, or everything that is wrong.

Usage:
  lazaret config check [--config FILE] [--json] [OPTION]... [--set KEY=VALUE]...

Takes the options of lazaret serve (see lazaret serve --help) and reads the same environment. Nothing is started.
Exit status: 0 when the configuration is valid, 2 when it is not.
)";

constexpr std::string_view kConfigHelp =
    R"(lazaret config - look at the configuration.

Usage:
  lazaret config check [--config FILE] [--json] [OPTION]...   show every setting in use, or what is wrong
  lazaret config sample                                       print a commented configuration file
)";

constexpr std::string_view kSampleHelp =
    R"(lazaret config sample - print a configuration file that holds every setting, commented out, at its default.

Usage:
  lazaret config sample > lazaret.toml
)";

constexpr std::string_view kVersionHelp =
    R"(lazaret version - print the version of lazaret and of the parts that it is made of.

Usage:
  lazaret version [--json]
)";

std::unexpected<Error> Misuse(std::vector<std::string> problems, std::string_view help) {
  std::string text;
  for (const std::string& problem : problems) text += "lazaret: " + problem + "\n";
  return Fail(Errc::kMalformed, text + "See: " + std::string(help) + "\n");
}

// Options of `serve` and `config check`, and what was given for them in its order.
class SettingOptions {
 public:
  explicit SettingOptions(CLI::App& app) : app_(app) {
    file_ = app.add_option("--config")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    set_ = app.add_option("--set")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    for (const Field& field : Fields()) {
      if (field.flag.empty()) continue;
      const std::string flag(field.flag);
      CLI::Option* option = field.kind == Kind::kSwitch ? app.add_flag(flag) : app.add_option(flag);
      fields_[option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)] = &field;
    }
  }

  std::optional<std::filesystem::path> File(const Environment& environment) const {
    if (file_->count() > 0) return file_->results().back();
    const auto found = environment.find(std::string(kFileVariable));
    if (found != environment.end() && !found->second.empty()) return found->second;
    return std::nullopt;
  }

  // What CLI11 cannot know: whether each --set has a key.
  std::vector<std::string> Problems() const {
    std::vector<std::string> problems;
    for (const std::string& text : set_->results()) {
      if (text.find('=') == text.npos) problems.push_back("--set " + text + ": write --set KEY=VALUE");
    }
    return problems;
  }

  std::vector<Given> InOrder() const {
    std::vector<Given> all;
    std::map<const CLI::Option*, std::size_t> taken;
    for (const CLI::Option* option : app_.parse_order()) {
      if (option == file_) continue;
      const auto field = fields_.find(option);
      if (option != set_ && field == fields_.end()) continue;
      const std::string value = option->results().at(taken[option]++);
      if (option == set_) {
        const std::string key = value.substr(0, value.find('='));
        if (key.size() == value.size()) continue;
        all.push_back(Given{key, {value.substr(key.size() + 1)}, "--set " + key, "--set " + key});
        continue;
      }
      const std::string flag(field->second->flag);
      const auto earlier = std::ranges::find(all, flag, &Given::origin);
      if (IsList(field->second->kind) && earlier != all.end()) {
        earlier->values.push_back(value);
      } else {
        all.push_back(Given{std::string(field->second->key), {value}, flag, flag});
      }
    }
    return all;
  }

 private:
  CLI::App& app_;
  CLI::Option* file_;
  CLI::Option* set_;
  std::map<const CLI::Option*, const Field*> fields_;
};

// One command with its own help; CLI11's ends the parse before we know for which command it was asked.
CLI::App* AddCommand(CLI::App& parent, const std::string& name) {
  CLI::App* app = parent.add_subcommand(name);
  app->set_help_flag();
  app->add_flag("-h,--help");
  app->allow_extras();
  return app;
}

bool Has(const CLI::App& app, const std::string& flag) { return app.get_option(flag)->count() > 0; }

std::string_view Nearest(std::string_view word, std::vector<std::string_view> candidates) {
  return *std::ranges::min_element(candidates, {}, [&](std::string_view c) { return EditDistance(word, c); });
}

std::string UnknownOption(const CLI::App& app, const std::string& argument) {
  const std::string name = argument.substr(0, argument.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) names.push_back("--" + option->get_lnames().front());
  const std::string_view near = Nearest(name, {names.begin(), names.end()});
  std::string text = "unknown option " + name + "; the nearest is " + std::string(near);
  if (app.get_option_no_throw("--set") == nullptr) return text;
  // Settings without a flag of their own are often tried as one.
  std::string key = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  std::ranges::replace(key, '-', '_');
  const Field& field = NearestField(key);
  const std::string_view last = field.key.substr(field.key.rfind('.') + 1);
  if (field.flag.empty() && EditDistance(key, last) < EditDistance(name, near)) {
    text =
        "unknown option " + name + "; write --set " + std::string(field.key) + "=" + std::string(field.Placeholder());
  }
  return text;
}

std::vector<std::string> UnexpectedArguments(const CLI::App& app) {
  std::vector<std::string> problems;
  bool value_of_unknown = false;
  for (const std::string& argument : app.remaining()) {
    if (argument.starts_with('-') && argument != "--" && argument != "-") {
      problems.push_back(UnknownOption(app, argument));
      value_of_unknown = argument.find('=') == argument.npos;
    } else {
      if (!value_of_unknown && argument != "--") problems.push_back("unexpected argument " + argument);
      value_of_unknown = false;
    }
  }
  return problems;
}

struct CommandLine {
  CLI::App app{"lazaret"};
  CLI::App* serve;
  CLI::App* config;
  CLI::App* check;
  CLI::App* sample;
  CLI::App* version;

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
  const SettingOptions serve_options(*line.serve);
  const SettingOptions check_options(*line.check);
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
      return Misuse({"say what to do: serve, config check, config sample or version"}, help);
    }
    const std::string_view near = Nearest(rest.front(), {"serve", "config", "version"});
    return Misuse({"unknown command " + rest.front() + "; the nearest is " + std::string(near)}, help);
  }
  if (&app == line.config && app.remaining().empty()) {
    return Misuse({"say what to do: config check or config sample"}, "lazaret config --help");
  }

  std::vector<std::string> problems = UnexpectedArguments(app);
  if (serves || checks) {
    const SettingOptions& options = serves ? serve_options : check_options;
    std::ranges::copy(options.Problems(), std::back_inserter(problems));
    const auto loaded = Load(surroundings, options.File(surroundings.environment), options.InOrder());
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
