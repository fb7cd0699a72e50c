#pragma once

#include <span>
#include <string>
#include <string_view>

#include "redis/command.h"

namespace lazaret::redis {

// A Lua script and the name that Redis knows it by once it has run there. Immutable.
class Script {
 public:
  explicit Script(std::string body);

  const std::string& body() const { return body_; }
  const std::string& sha1() const { return sha1_; }  // in hex

  // With the name alone; NOSCRIPT when the server does not know it.
  Command ByName(std::span<const std::string> keys, std::span<const std::string> arguments) const;
  // With the whole script; the server knows its name from then on.
  Command Whole(std::span<const std::string> keys, std::span<const std::string> arguments) const;

 private:
  static Command Make(std::string_view name, std::string_view script, std::span<const std::string> keys,
                      std::span<const std::string> arguments);

  std::string body_;
  std::string sha1_;
};

}  // namespace lazaret::redis
