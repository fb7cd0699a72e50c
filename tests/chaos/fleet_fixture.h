#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integration/async_fixture.h"
#include "integration/redis_process.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {

// One `lazaret serve` of a fleet, which may be killed and started again with the same data directory. What it logged in
// all its lives is kept. Not thread-safe.
class FleetNode {
 public:
  // Starts it, and returns when it listens.
  FleetNode(ServerOptions options, std::string role);

  ServerProcess& process() { return *lives_.back(); }
  const ServerProcess& process() const { return *lives_.back(); }
  // Of its life now; 0 when it never listened.
  std::uint16_t port() const { return process().port(); }
  void Kill() { process().Kill(); }
  // A new life, on another port.
  void StartAgain();

  std::size_t lives() const { return lives_.size(); }
  // The ids of the scans that its own scanners finished in one life, in their order.
  std::vector<std::string> ScansOf(std::size_t life) const;
  // How often they finished a scan of this content, in all lives; "" counts all contents.
  std::size_t CountScans(std::string_view id = "") const;
  std::string Log() const;

 private:
  ServerOptions options_;
  std::string role_;
  std::vector<std::unique_ptr<ServerProcess>> lives_;
};

// Servers that share one Redis. They know the built-in EICAR set only, obey the test hooks of lazaret-scanner-hooks,
// and notice within seconds when one of them has died. At the end all that still run must end in good order; what they
// logged is printed when the test fails.
class FleetTest : public testing::Test {
 protected:
  static constexpr std::size_t kScanners = 1;  // of each node
  // Jobs that a node has at once: one slot more than scanners, for small contents.
  static constexpr std::size_t kSlots = kScanners + 1;

  ~FleetTest() override;
  void TearDown() override;

  // With a short time-out, so that a Redis that stands still is noticed soon.
  static std::string WithOptions(const std::string& url, std::string_view options = "timeout=500ms");
  // Arguments that every node gets.
  static std::vector<std::string> Common(const std::string& url, const std::string& role);
  FleetNode& Launch(const std::string& url, const std::string& role, std::vector<std::string> arguments = {});
  // The same, ready to scan.
  FleetNode& Start(const std::string& url, const std::string& role, std::vector<std::string> arguments = {});
  static bool BecomesReady(const FleetNode& node);

  const std::vector<std::unique_ptr<FleetNode>>& nodes() const { return nodes_; }
  // Of all nodes; waits for the first, as a verdict may be here before the line of the log that tells of its scan.
  std::size_t CountScans(std::string_view id) const;

  // Of /metrics, by its name with labels; 0 when it is not there.
  static double Metric(const FleetNode& node, const std::string& series);
  static double JobsInfo(const FleetNode& node, std::string_view key);
  // The verdict of a content once there is one: "clean", "infected", "unscannable: REASON"; otherwise what came
  // instead.
  static std::string VerdictOf(const FleetNode& node, std::string_view content);

  TestDirectory root_;

 private:
  std::vector<std::unique_ptr<FleetNode>> nodes_;
};

// How submits fared that were not taken.
struct Tries {
  std::atomic<std::size_t> refused = 0;  // 503
  std::atomic<std::size_t> cut_off = 0;  // no answer
};
// Submits again and again until it is answered with 202 or 200; empty after kPatience.
std::optional<HttpResponse> SubmitUntilTaken(std::uint16_t port, std::string_view content, Tries& tries);

// 503 that says when to come back, what is wrong and what to do.
MATCHER_P(IsRefusal, text, "") {
  if (!arg || arg->status != 503) return false;
  const auto retry_after = arg->Find("Retry-After");
  const std::string detail = TextOf(ParseJson(*arg), "detail");
  return retry_after && std::stoi(*retry_after) >= 1 && detail.find(text) != std::string::npos;
}

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise);

}  // namespace lazaret::tests
