#include "chaos/fleet_fixture.h"

#include <boost/json/value.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "metrics/exposition_checker.h"

namespace lazaret::tests {
namespace {

// A line of the JSON log; the id follows the event.
constexpr std::string_view kScanLine = R"("event":"scan","id":")";
constexpr std::size_t kIdDigits = 64;

}  // namespace

FleetNode::FleetNode(ServerOptions options, std::string role) : options_(std::move(options)), role_(std::move(role)) {
  StartAgain();
}

void FleetNode::StartAgain() { lives_.push_back(std::make_unique<ServerProcess>(options_)); }

std::vector<std::string> FleetNode::ScansOf(std::size_t life) const {
  std::vector<std::string> ids;
  if (role_ == "api") return ids;  // it logs what workers have scanned for it
  for (const std::string& line : lives_[life]->LogLines()) {
    const std::size_t at = line.find(kScanLine);
    if (at != line.npos) ids.push_back(line.substr(at + kScanLine.size(), kIdDigits));
  }
  return ids;
}

std::size_t FleetNode::CountScans(std::string_view id) const {
  std::size_t count = 0;
  for (std::size_t life = 0; life < lives_.size(); ++life) {
    for (const std::string& scanned : ScansOf(life)) count += id.empty() || scanned == id ? 1 : 0;
  }
  return count;
}

std::string FleetNode::Log() const {
  std::string all;
  for (const auto& life : lives_) all += life->Log() + "--\n";
  return all;
}

FleetTest::~FleetTest() = default;

void FleetTest::TearDown() {
  for (const auto& node : nodes_) node->process().Signal(SIGTERM);
  for (const auto& node : nodes_) {
    if (!node->process().is_over()) EXPECT_EQ(node->process().WaitForEnd(), 0);
  }
  if (!HasFailure()) return;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::cerr << "log of node " << i << ":\n" << nodes_[i]->Log() << std::flush;
  }
}

std::string FleetTest::WithOptions(const std::string& url, std::string_view options) {
  return fmt::format("{}?{}", url, options);
}

std::vector<std::string> FleetTest::Common(const std::string& url, const std::string& role) {
  return {"--redis",
          url,
          "--role",
          role,
          "--test-signatures",
          "--scanners",
          std::to_string(kScanners),
          "--threads",
          "2",
          "--set",
          std::string("engine.scanner_program=") + LAZARET_SCANNER_HOOKS,
          "--set",
          "jobs.lease=2s",
          "--set",
          "redis.claim=1s",
          "--set",
          "jobs.retry_pause=0s"};
}

FleetNode& FleetTest::Launch(const std::string& url, const std::string& role, std::vector<std::string> arguments) {
  std::vector<std::string> all = Common(url, role);
  all.insert(all.end(), arguments.begin(), arguments.end());
  nodes_.push_back(std::make_unique<FleetNode>(ServerOptions{.arguments = std::move(all),
                                                             .data = root_ / fmt::format("node-{}", nodes_.size()),
                                                             .signatures = root_ / "none",
                                                             .user = {}},
                                               role));
  EXPECT_NE(nodes_.back()->port(), 0);
  return *nodes_.back();
}

FleetNode& FleetTest::Start(const std::string& url, const std::string& role, std::vector<std::string> arguments) {
  FleetNode& node = Launch(url, role, std::move(arguments));
  EXPECT_TRUE(BecomesReady(node));
  return node;
}

bool FleetTest::BecomesReady(const FleetNode& node) { return node.process().WaitUntilReady(); }

std::size_t FleetTest::CountScans(std::string_view id) const {
  std::size_t count = 0;
  Eventually([&] {
    count = 0;
    for (const auto& node : nodes_) count += node->CountScans(id);
    return count > 0;
  });
  return count;
}

double FleetTest::Metric(const FleetNode& node, const std::string& series) {
  const auto page = Get(node.port(), "/metrics");
  if (!page) return 0;
  const auto all = metrics::ReadExposition(page->body).series;
  const auto found = all.find(series);
  return found == all.end() ? 0 : found->second;
}

double FleetTest::JobsInfo(const FleetNode& node, std::string_view key) {
  const auto answer = Get(node.port(), "/v1/info");
  if (!answer) return -1;
  const auto info = ParseJson(*answer);
  const auto* const jobs = info.if_contains("jobs");
  const auto* const value = jobs != nullptr && jobs->is_object() ? jobs->get_object().if_contains(key) : nullptr;
  return value != nullptr && value->is_number() ? value->to_number<double>() : -1;
}

std::string FleetTest::VerdictOf(const FleetNode& node, std::string_view content) {
  const auto answer = Poll(node.port(), IdOf(content));
  if (!answer) return answer.error().what;
  if (answer->status != 200) return answer->body;
  const auto scan = ParseJson(*answer);
  if (TextOf(scan, "status") != "done") return TextOf(scan, "status");
  const std::string reason = TextOf(scan, "reason");
  return TextOf(scan, "verdict") + (reason.empty() ? "" : ": " + reason);
}

std::optional<HttpResponse> SubmitUntilTaken(std::uint16_t port, std::string_view content, Tries& tries) {
  std::optional<HttpResponse> taken;
  Eventually([&] {
    auto answer = Submit(port, content);
    if (answer && (answer->status == 202 || answer->status == 200)) {
      taken = *std::move(answer);
      return true;
    }
    if (answer && answer->status != 503) ADD_FAILURE() << answer->status << " " << answer->body;
    ++(answer ? tries.refused : tries.cut_off);
    return false;
  });
  return taken;
}

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

}  // namespace lazaret::tests
