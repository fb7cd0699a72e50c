#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/load.h"

namespace lazaret::config {

// What the process ends with when the command line or the configuration cannot be used.
inline constexpr int kUsageExitCode = 2;
// ... and when all that is wrong is that there is no such job or override.
inline constexpr int kNotFoundExitCode = 3;

// What the user asked for.
struct Serve {
  Config config;
};
// `lazaret config check`: print `text` to standard output and end with `exit_code`; a configuration with errors is a
// finding here, not a failure.
struct ConfigCheck {
  std::string text;
  int exit_code;
};
// `lazaret config sample` and every kind of help: print `text` to standard output and end with 0.
struct ConfigSample {
  std::string text;
};
struct Help {
  std::string text;
};
// `lazaret version`: the caller knows the versions of the parts.
struct Version {
  bool json;
};
// `lazaret jobs ...`: ask the server of a data directory about its jobs.
struct Jobs {
  enum class Action { kList, kShow, kRetry, kDrop };
  Action action;
  std::filesystem::path data;
  bool json = false;
  std::string state;             // for kList: "queued", "scanning", "done", "dead", or empty for all
  std::uint64_t limit = 100;     // for kList
  std::vector<std::string> ids;  // for the others: at least one, each 8 to 64 lower-case hexadecimal digits
};
// When an override ends: so long from now, or at a time (RFC 3339 with milliseconds, in UTC).
struct End {
  milliseconds after{0};  // 0: `at` counts
  std::string at;
};
// "90m", "2026-11-30", "2026-11-30T18:00Z" and with seconds and milliseconds; empty for anything else.
std::optional<End> ParseEnd(std::string_view text);
// `lazaret override ...`: ask the server of a data directory about its overrides.
struct Overrides {
  enum class Action { kAdd, kList, kRemove };
  Action action;
  std::filesystem::path data = {};
  bool json = false;
  std::vector<std::string> contents = {};  // SHA-256s in hex, or files: one for kAdd, at least one for kRemove
  // For kAdd:
  std::string verdict = {};  // "clean" or "infected"
  std::string reason = {};   // not empty
  std::string signature = {};
  std::optional<End> end = std::nullopt;
};
// `lazaret signatures ...`: ask the server of a data directory about its signatures, or try those of a directory.
struct Signatures {
  enum class Action { kStatus, kReload, kRollback, kCheck };
  Action action;
  Config config = {};
  bool json = false;
  bool force = false;                    // for kReload
  std::string reason = {};               // for kRollback; may be empty
  std::filesystem::path directory = {};  // for kCheck
};
using Command = std::variant<Serve, ConfigCheck, ConfigSample, Jobs, Overrides, Signatures, Version, Help>;

// `arguments` come without the name of the program. Reads the file that --config or LAZARET_CONFIG names, and nothing
// else. The error is kMalformed; its `what` is the whole text for standard error, several lines with a newline at the
// end, after which the process ends with kUsageExitCode.
Result<Command> ParseCommandLine(const std::vector<std::string>& arguments, const Surroundings& surroundings);

// The surroundings of this process: its environment (`environment` is environ(7)) and its effective user.
Surroundings CurrentSurroundings(const char* const* environment);

}  // namespace lazaret::config
