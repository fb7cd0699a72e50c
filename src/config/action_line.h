#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/cli_options.h"

namespace lazaret::config {

// The command line of a command with actions, "jobs list", "jobs show" and so on, that ask the server of a data
// directory. Each action takes --json and whatever names that directory.
class ActionLine {
 public:
  // Adds the commands to `parent`, which outlives this.
  ActionLine(CLI::App& parent, std::string name, std::span<const std::string_view> actions);

  // For more options.
  CLI::App& app(std::size_t action) const { return *actions_[action].app; }
  bool parsed() const { return app_->parsed(); }
  // Where to read more.
  std::string see_help() const { return "lazaret " + name_ + " --help"; }

  // Which action was asked for; empty when it is help. kMalformed as ParseCommandLine has it.
  Result<std::optional<std::size_t>> Choose() const;
  // The settings in use, unless there are `problems` or the settings have some. kMalformed as ParseCommandLine has it.
  Result<Config> Settings(std::size_t action, std::vector<std::string> problems,
                          const Surroundings& surroundings) const;
  // The data directory of the server that is meant; otherwise the same.
  Result<std::filesystem::path> Data(std::size_t action, std::vector<std::string> problems,
                                     const Surroundings& surroundings) const;

 private:
  struct Action {
    std::string name;
    CLI::App* app;
    std::unique_ptr<SettingOptions> settings;
  };

  const std::string name_;
  CLI::App* app_;
  std::vector<Action> actions_;
};

}  // namespace lazaret::config
