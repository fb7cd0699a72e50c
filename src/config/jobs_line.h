#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "config/cli_options.h"
#include "config/command_line.h"

namespace lazaret::config {

// The command line of `lazaret jobs`.
class JobsLine {
 public:
  // Adds the commands to `parent`, which outlives this.
  explicit JobsLine(CLI::App& parent);

  bool parsed() const { return jobs_->parsed(); }
  // What was asked for; help is an answer, too. As ParseCommandLine otherwise.
  Result<Command> Read(const Surroundings& surroundings) const;

 private:
  struct Action {
    Jobs::Action action;
    CLI::App* app;
    std::unique_ptr<SettingOptions> settings;
  };

  // Reads the options of one command; what is wrong with them is added to the problems that are returned.
  std::vector<std::string> ReadOptions(const Action& action, Jobs& jobs) const;

  CLI::App* jobs_;
  std::vector<Action> actions_;
};

}  // namespace lazaret::config
