#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "load/answer.h"
#include "load/payload.h"
#include "load/schedule.h"

namespace lazaret::bench {

// Where the server listens: a port of a numeric address, or a Unix socket.
struct Target {
  std::string host;
  std::uint16_t port = 0;
  std::string socket;  // not empty: a Unix socket
};

enum class Mode {
  kPost,       // the whole body with each request
  kHashFirst,  // Repr-Digest and Expect: 100-continue; the body only when the server asks for it
  kGet,        // no body; "{id}" in the path becomes the SHA-256 of an item
};

// One run, as the command line wants it. Sizes in bytes.
struct Plan {
  Target target;
  std::string path = "/v1/scan";
  Mode mode = Mode::kPost;
  std::vector<Item> items;  // taken in turn
  bool salt = false;        // 24 more bytes that make each body another content
  Expectation expected;
  std::vector<int> allowed_statuses;  // no failure, but counted on their own

  std::uint64_t connections = 1;
  unsigned threads = 1;
  std::optional<double> rate;  // requests a second: an open loop
  Spacing spacing = Spacing::kEven;
  std::uint64_t requests = 0;  // 0: any number
  std::optional<milliseconds> duration;
  milliseconds warm_up{0};  // what begins earlier is not measured
  milliseconds ramp{0};     // over which connections begin
  milliseconds timeout = seconds(120);
  std::uint64_t send_rate = 0;  // of each connection, bytes a second; 0: as fast as it goes
  bool keep_alive = true;
  std::uint64_t seed = 1;

  bool progress = false;
  bool json = false;
  std::filesystem::path answers;  // where to write what was said of each item; empty: nowhere
};

// Reads the command line and the files that it names. What it returns instead of a plan is the status to end with.
std::expected<Plan, int> ReadPlan(int argc, char** argv);

}  // namespace lazaret::bench
