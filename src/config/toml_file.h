#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazaret::config {

// One value that somebody gave for a key, not yet looked at.
struct Given {
  std::string key;
  std::vector<std::string> values;  // as SetField wants them
  std::string origin;               // "lazaret.toml:3:7", "LAZARET_THREADS", "--threads"
  std::string subject;              // how a message about it begins: the origin, in a file with the key
};

// What a file holds, and one message for everything that is wrong with it.
struct TomlFile {
  std::vector<Given> given;
  std::vector<std::string> problems;
};

// Reads TOML 1.0 (toml.io) and checks that each key is a field and that its value has the field's TOML type; ranges
// are SetField's business. `name` is what messages call the file. A file that is not TOML gives one problem: the parser
// stops there.
TomlFile ParseTomlFile(std::string_view text, std::string_view name);

// What a message says about a key that does not exist, the nearest one included.
std::string UnknownKey(std::string_view key);

}  // namespace lazaret::config
