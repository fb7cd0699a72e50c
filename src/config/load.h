#pragma once

#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/toml_file.h"

namespace lazaret::config {

using Environment = std::map<std::string, std::string>;

// What a process knows about its surroundings, as values, so that tests need no process.
struct Surroundings {
  Environment environment;  // every variable; those with LAZARET_ in front are settings
  bool root = false;        // the effective user is root
};

// Every value in use and where the ones that are not defaults come from.
struct Loaded {
  Config config;
  std::map<std::string, std::string, std::less<>> origins;  // by key: "lazaret.toml:3:7", "LAZARET_THREADS", ...
};

// One sentence for each thing that is wrong, in the order of file, environment, command line.
using Problems = std::vector<std::string>;

// Names the file to read; the only LAZARET_ variable that is not a field.
inline constexpr std::string_view kFileVariable = "LAZARET_CONFIG";

// The defaults; `data` depends on the user: /var/lib/lazaret for root, else $XDG_STATE_HOME/lazaret or
// ~/.local/state/lazaret, and empty when there is no home directory either.
Config DefaultConfig(const Surroundings& surroundings);

// The defaults, changed by the file, then by the environment, then by `flags` in their order. Reads `file` from disk.
std::expected<Loaded, Problems> Load(const Surroundings& surroundings, const std::optional<std::filesystem::path>& file,
                                     const std::vector<Given>& flags);

}  // namespace lazaret::config
