#pragma once

#include <CLI/CLI.hpp>

#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/field.h"
#include "config/load.h"

// What the commands have in common, over CLI11. Only sources that read the command line may include this: it is slow to
// compile.
namespace lazaret::config {

// "lazaret: <problem>" for each, then where to read more, as ParseCommandLine reports it.
std::unexpected<Error> Misuse(const std::vector<std::string>& problems, std::string_view help);

// One command with its own help; CLI11's ends the parse before we know for which command it was asked.
CLI::App* AddCommand(CLI::App& parent, const std::string& name);

bool Has(const CLI::App& app, const std::string& flag);
// The candidate that looks most like `word`.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates);
// The last value of an option, "" when it is not given.
std::string ValueOf(const CLI::App& app, const std::string& name);
// One problem for each argument that `app` does not know.
std::vector<std::string> UnexpectedArguments(const CLI::App& app);

// Which settings a command lets be given on its command line.
enum class SettingChoice {
  kAll,
  kDataOnly,  // for commands that talk to the server of a data directory
};

// Options of a command that reads the settings, and what was given for them in its order.
class SettingOptions {
 public:
  SettingOptions(CLI::App& app, SettingChoice choice);

  // The settings in use, from file, environment and command line.
  std::expected<Loaded, Problems> Load(const Surroundings& surroundings) const;
  // What CLI11 cannot know: whether each --set has a key.
  std::vector<std::string> Mistakes() const;

 private:
  std::optional<std::filesystem::path> File(const Environment& environment) const;
  std::vector<Given> InOrder() const;

  CLI::App& app_;
  CLI::Option* file_;
  CLI::Option* set_ = nullptr;
  std::map<const CLI::Option*, const Field*> fields_;
};

}  // namespace lazaret::config
