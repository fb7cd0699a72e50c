#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "integration/http_client.h"
#include "integration/server_process.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

// In pieces, so that this file is not taken for it.
std::string Eicar();
// A content that contains it and differs from every other `number`'s.
std::string EicarWithPrefix(unsigned number);
// Text in which nothing is found, of exactly `size` bytes, another one for each `seed`.
std::string PlainText(std::size_t size, unsigned seed = 1);
// What lazaret-scanner-hooks obeys (scanner/test_hooks.h), another content for each `seed`.
std::string Hook(std::string_view what, unsigned seed = 1);

// The scan id of a content.
std::string IdOf(std::string_view content);
std::string ReprDigestOf(std::string_view content);

// The body as a JSON object; fails the test, and is empty, when it is none.
boost::json::object ParseJson(const HttpResponse& response);
// A member that is a string, "" when it is not there.
std::string TextOf(const boost::json::object& object, std::string_view key);
// The names of all members, in their order.
std::vector<std::string> KeysOf(const boost::json::object& object);

void PrintTo(const Result<HttpResponse>& answer, std::ostream* out);

MATCHER_P(HasStatus, status, "") { return arg && arg->status == status; }

// 200 with one scan of this verdict.
MATCHER_P(HasVerdict, verdict, "") {
  return arg && arg->status == 200 && TextOf(ParseJson(*arg), "verdict") == verdict;
}

// 200 with one scan that is unscannable for this reason.
MATCHER_P(IsUnscannable, reason, "") {
  return arg && arg->status == 200 && TextOf(ParseJson(*arg), "reason") == reason;
}

// A problem (RFC 9457) of this status and type.
MATCHER_P2(IsProblem, status, slug, "") {
  return arg && arg->status == status && arg->Find("Content-Type") == "application/problem+json" &&
         TextOf(ParseJson(*arg), "type") == std::string("urn:lazaret:problem:") + slug;
}

// A server with signatures for EICAR and for the files of clamav-testfiles. Unless the test has ended it, it must end
// in good order afterwards, which under a sanitizer it does not when it has leaked something. What it logged is printed
// when the test fails.
class ServerTest : public testing::Test {
 protected:
  ServerTest();
  void TearDown() override;

  // A server that is ready, with all its scanners; the one before it, if any, is killed.
  ServerProcess& Start(std::vector<std::string> arguments = {});
  // The same with lazaret-scanner-hooks.
  ServerProcess& StartWithHooks(std::vector<std::string> arguments = {});
  // Returns before it is ready.
  ServerProcess& Launch(std::vector<std::string> arguments = {});
  // What Start and Launch use, but for the arguments.
  ServerOptions Options() const;

  ServerProcess& server() { return *server_; }
  std::uint16_t port() const { return server_->port(); }

  // Of /metrics, by its name with labels as it stands there; 0 when it is not there.
  double Metric(const std::string& series) const;
  // Whether it becomes so.
  bool MetricBecomes(const std::string& series, double value) const;
  // Of GET /v1/scans/{id}: "scanning", "done", ...; "" when it is unknown.
  std::string StatusOf(std::string_view content) const;
  bool StatusBecomes(std::string_view content, std::string_view status) const;

  TestDirectory root_;

 private:
  std::unique_ptr<ServerProcess> server_;
};

}  // namespace lazaret::tests
