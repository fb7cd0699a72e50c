#include "integration/async_fixture.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

namespace lazaret::tests {

namespace fs = std::filesystem;

Result<HttpResponse> Submit(std::uint16_t port, std::string_view content, const Headers& headers) {
  return Post(port, "/v1/scans", content, headers);
}

Result<HttpResponse> SubmitChunked(std::uint16_t port, std::string_view content) {
  HttpConnection connection(port);
  const std::string head = MakeRequest("POST", "/v1/scans", {{"Transfer-Encoding", "chunked"}});
  if (auto sent = connection.Send(head + Chunked(content, content.size() / 3 + 1)); !sent) {
    return std::unexpected(sent.error());
  }
  return connection.Receive();
}

Result<HttpResponse> SubmitForm(std::uint16_t port, const std::vector<Part>& parts, std::string_view target) {
  return Post(port, target, MakeMultipart(parts), MultipartHeaders());
}

Result<HttpResponse> Poll(std::uint16_t port, const std::string& id, int wait_s) {
  return Get(port, fmt::format("/v1/scans/{}?wait={}", id, wait_s));
}

std::vector<boost::json::object> ScansOf(const Result<HttpResponse>& answer) {
  std::vector<boost::json::object> scans;
  if (!answer) return scans;
  const auto object = ParseJson(*answer);
  const auto* const list = object.if_contains("scans");
  if (list == nullptr || !list->is_array()) return scans;
  for (const auto& scan : list->get_array()) scans.push_back(scan.as_object());
  return scans;
}

ServerProcess& AsyncTest::LaunchWithoutEngine(std::vector<std::string> arguments) {
  std::error_code ignored;
  fs::rename(root_ / "signatures", root_ / "signatures-kept", ignored);
  Launch(std::move(arguments));
  EXPECT_NE(port(), 0);
  return server();
}

void AsyncTest::GiveSignatures() const {
  fs::rename(root_ / "signatures-kept", root_ / "signatures");
  EXPECT_TRUE(Eventually([&] {
    const auto ready = Get(port(), "/readyz");
    return ready && ready->status == 200;
  }));
}

std::vector<std::string> AsyncTest::WithHooks(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--set", std::string("engine.scanner_program=") + LAZARET_SCANNER_HOOKS});
  return arguments;
}

std::string AsyncTest::VerdictOf(std::string_view content) const {
  const auto answer = Poll(port(), IdOf(content));
  if (!answer) return answer.error().what;
  if (answer->status != 200) return answer->body;
  const auto scan = ParseJson(*answer);
  if (TextOf(scan, "status") != "done") return TextOf(scan, "status");
  const std::string reason = TextOf(scan, "reason");
  return TextOf(scan, "verdict") + (reason.empty() ? "" : ": " + reason);
}

double AsyncTest::JobsInfo(std::string_view key) const {
  const auto answer = Get(port(), "/v1/info");
  if (!answer) return -1;
  const auto info = ParseJson(*answer);
  const auto* const jobs = info.if_contains("jobs");
  const auto* const value = jobs != nullptr && jobs->is_object() ? jobs->get_object().if_contains(key) : nullptr;
  return value != nullptr && value->is_number() ? value->to_number<double>() : -1;
}

bool AsyncTest::JobsBecome(std::string_view state, double count) const {
  return MetricBecomes(fmt::format("lazaret_jobs{{state=\"{}\"}}", state), count);
}

std::vector<fs::path> AsyncTest::ContentFiles() const {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(root_ / "data/queue")) {
    files.push_back(entry.path());
  }
  return files;
}

}  // namespace lazaret::tests
