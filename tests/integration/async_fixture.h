#pragma once

#include <boost/json/object.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "integration/server_fixture.h"

namespace lazaret::tests {

// POST /v1/scans with the file as the body.
Result<HttpResponse> Submit(std::uint16_t port, std::string_view content, const Headers& headers = {});
Result<HttpResponse> SubmitChunked(std::uint16_t port, std::string_view content);
Result<HttpResponse> SubmitForm(std::uint16_t port, const std::vector<Part>& parts,
                                std::string_view target = "/v1/scans");
// GET of the scan of this id, held until it is done or `wait_s` seconds have passed.
Result<HttpResponse> Poll(std::uint16_t port, const std::string& id, int wait_s = 50);

// The entries of {"scans":[...]}.
std::vector<boost::json::object> ScansOf(const Result<HttpResponse>& answer);

// 202 with a scan of this id that is queued, and with what tells the client where and when to ask.
MATCHER_P(IsQueued, id, "") {
  if (!arg || arg->status != 202) return false;
  const auto scan = ParseJson(*arg);
  const auto retry_after = arg->Find("Retry-After");
  return TextOf(scan, "id") == id && TextOf(scan, "status") == "queued" && !scan.contains("verdict") &&
         arg->Find("Location") == "/v1/scans/" + std::string(id) && retry_after && std::stoi(*retry_after) >= 1;
}

// 200 with the scan as it stands.
MATCHER_P(IsInState, status, "") {
  return arg && arg->status == 200 && TextOf(ParseJson(*arg), "status") == std::string(status);
}

// What the tests of asynchronous scans share. Without signatures the engine does not start, and jobs wait for as long
// as a test wants them to.
class AsyncTest : public ServerTest {
 protected:
  // A server whose engine waits for GiveSignatures.
  ServerProcess& LaunchWithoutEngine(std::vector<std::string> arguments = {});
  void GiveSignatures() const;
  // Arguments that make lazaret-scanner-hooks the scanner.
  static std::vector<std::string> WithHooks(std::vector<std::string> arguments = {});

  // The verdict once there is one: "clean", ..., "unscannable: REASON"; what came instead when there is none.
  std::string VerdictOf(std::string_view content) const;
  // A number of "jobs" in /v1/info.
  double JobsInfo(std::string_view key) const;
  bool JobsBecome(std::string_view state, double count) const;
  // Files in the data directory that hold contents of jobs.
  std::vector<std::filesystem::path> ContentFiles() const;
};

}  // namespace lazaret::tests
