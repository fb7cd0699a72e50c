#pragma once

#include <string>
#include <vector>

#include "config/action_line.h"
#include "config/command_line.h"

namespace lazaret::config {

// The command line of `lazaret override`.
class OverrideLine {
 public:
  // Adds the commands to `parent`, which outlives this.
  explicit OverrideLine(CLI::App& parent);

  bool parsed() const { return line_.parsed(); }
  // What was asked for; help is an answer, too. As ParseCommandLine otherwise.
  Result<Command> Read(const Surroundings& surroundings) const;

 private:
  // Each reads the options of one command; what is wrong with them is added to the problems that are returned.
  static std::vector<std::string> ReadAdd(const CLI::App& app, Overrides& overrides);
  static std::vector<std::string> ReadRemove(const CLI::App& app, Overrides& overrides);

  ActionLine line_;
};

}  // namespace lazaret::config
