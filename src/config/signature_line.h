#pragma once

#include "config/action_line.h"
#include "config/command_line.h"

namespace lazaret::config {

// The command line of `lazaret signatures`.
class SignatureLine {
 public:
  // Adds the commands to `parent`, which outlives this.
  explicit SignatureLine(CLI::App& parent);

  bool parsed() const { return line_.parsed(); }
  // What was asked for; help is an answer, too. As ParseCommandLine otherwise.
  Result<Command> Read(const Surroundings& surroundings) const;

 private:
  ActionLine line_;
};

}  // namespace lazaret::config
