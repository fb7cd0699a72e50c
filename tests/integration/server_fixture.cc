#include "integration/server_fixture.h"

#include <boost/json/parse.hpp>

#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "metrics/exposition_checker.h"
#include "wire/digest_field.h"

namespace lazaret::tests {

std::string Eicar() {
  return std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$") + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*";
}

std::string EicarWithPrefix(unsigned number) { return fmt::format("sample {}\n{}", number, Eicar()); }

std::string PlainText(std::size_t size, unsigned seed) {
  std::string text = fmt::format("text {}\n", seed);
  for (unsigned i = seed; text.size() < size; i = i * 1664525u + 1013904223u) text += fmt::format("line {}\n", i);
  text.resize(size);
  return text;
}

std::string Hook(std::string_view what, unsigned seed) {
  return fmt::format("LAZARET-TEST-HOOK {}\ncontent {}\n", what, seed);
}

std::string IdOf(std::string_view content) { return Sha256::Of(AsBytes(content)).Hex(); }

std::string ReprDigestOf(std::string_view content) { return wire::FormatReprDigest(Sha256::Of(AsBytes(content))); }

boost::json::object ParseJson(const HttpResponse& response) {
  boost::system::error_code failed;
  const boost::json::value value = boost::json::parse(response.body, failed);
  if (failed || !value.is_object()) {
    ADD_FAILURE() << "no JSON object: " << response.status << " " << response.body;
    return {};
  }
  return value.get_object();
}

std::string TextOf(const boost::json::object& object, std::string_view key) {
  const boost::json::value* const value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return "";
  return std::string(std::string_view(value->get_string()));
}

std::vector<std::string> KeysOf(const boost::json::object& object) {
  std::vector<std::string> keys;
  for (const auto& member : object) keys.emplace_back(std::string_view(member.key()));
  return keys;
}

void PrintTo(const Result<HttpResponse>& answer, std::ostream* out) {
  if (answer) {
    *out << answer->status << " " << answer->body;
  } else {
    *out << "no answer: " << answer.error().what;
  }
}

ServerTest::ServerTest() {
  std::string signature = "Test.Eicar:0:*:";
  for (const char c : Eicar()) signature += fmt::format("{:02x}", static_cast<unsigned char>(c));
  root_.Write("signatures/test.ndb", signature + "\n");
  root_.Write("signatures/test.hdb", "aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n");
}

void ServerTest::TearDown() {
  if (server_ == nullptr) return;
  if (!server_->is_over()) EXPECT_EQ(server_->Terminate(), 0);
  if (HasFailure()) std::cerr << "log of the server:\n" << server_->Log() << std::flush;
}

ServerOptions ServerTest::Options() const {
  return {.arguments = {}, .data = root_ / "data", .signatures = root_ / "signatures", .user = {}};
}

ServerProcess& ServerTest::Launch(std::vector<std::string> arguments) {
  server_.reset();
  ServerOptions options = Options();
  options.arguments = std::move(arguments);
  server_ = std::make_unique<ServerProcess>(options);
  return *server_;
}

ServerProcess& ServerTest::Start(std::vector<std::string> arguments) {
  Launch(std::move(arguments));
  EXPECT_TRUE(server_->WaitUntilReady() && MetricBecomes("lazaret_scanners{state=\"starting\"}", 0));
  return *server_;
}

ServerProcess& ServerTest::StartWithHooks(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--set", std::string("engine.scanner_program=") + LAZARET_SCANNER_HOOKS});
  return Start(std::move(arguments));
}

double ServerTest::Metric(const std::string& series) const {
  const auto page = Get(port(), "/metrics");
  if (!page) return 0;
  const auto all = metrics::ReadExposition(page->body).series;
  const auto found = all.find(series);
  return found == all.end() ? 0 : found->second;
}

bool ServerTest::MetricBecomes(const std::string& series, double value) const {
  return Eventually([&] { return Metric(series) == value; });
}

std::string ServerTest::StatusOf(std::string_view content) const {
  const auto answer = Get(port(), "/v1/scans/" + IdOf(content));
  return answer && answer->status == 200 ? TextOf(ParseJson(*answer), "status") : "";
}

bool ServerTest::StatusBecomes(std::string_view content, std::string_view status) const {
  return Eventually([&] { return StatusOf(content) == status; });
}

}  // namespace lazaret::tests
