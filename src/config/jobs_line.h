#pragma once

#include <string>
#include <vector>

#include "config/action_line.h"
#include "config/command_line.h"

namespace lazaret::config {

// The command line of `lazaret jobs`.
class JobsLine {
 public:
  // Adds the commands to `parent`, which outlives this.
  explicit JobsLine(CLI::App& parent);

  bool parsed() const { return line_.parsed(); }
  // What was asked for; help is an answer, too. As ParseCommandLine otherwise.
  Result<Command> Read(const Surroundings& surroundings) const;

 private:
  // Reads the options of one command; what is wrong with them is added to the problems that are returned.
  static std::vector<std::string> ReadOptions(const CLI::App& app, Jobs& jobs);

  ActionLine line_;
};

}  // namespace lazaret::config
