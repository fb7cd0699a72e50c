#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace lazaret {

struct ControlAnswer {
  int status;
  std::string body;  // JSON
};

inline constexpr seconds kControlPatience{30};

// Asks the server of a data directory over its control socket, one request a connection. Blocks.
class ControlClient {
 public:
  explicit ControlClient(const std::filesystem::path& data);

  // kUnavailable when no server runs there or its socket may not be opened, kTimeout when it does not answer within
  // `patience`, kMalformed when the answer is none; the message says what to do.
  Result<ControlAnswer> Ask(std::string_view method, std::string_view target,
                            seconds patience = kControlPatience) const;

 private:
  std::filesystem::path data_;  // absolute
};

}  // namespace lazaret
