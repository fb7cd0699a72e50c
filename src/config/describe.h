#pragma once

#include <string>

#include "config/load.h"

namespace lazaret::config {

// What the program prints about its settings; every text ends with a newline.

// All settings with their allowed values, defaults and meaning, for `lazaret serve --help`.
std::string DescribeFields(const Config& defaults);
// A TOML file with every setting, commented out, at its default.
std::string SampleFile(const Config& defaults);

// What `lazaret config check` says about a configuration that can be used.
std::string CheckText(const Loaded& loaded);
// {"ok":true,"settings":{"http.max_connections":{"value":10000,"shown":"10000","origin":"default"},...}}
std::string CheckJson(const Loaded& loaded);
// ... and about one that cannot.
std::string ProblemsText(const Problems& problems);
// {"ok":false,"problems":["..."]}
std::string ProblemsJson(const Problems& problems);

}  // namespace lazaret::config
