#include "http/response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/problem.h"

namespace lazaret::http {
namespace {

using testing::HasSubstr;

TEST(Serialize, WritesHeadAndBody) {
  const Response response{.status = 200, .body = "{}", .headers = {{"Retry-After", "3"}}};
  EXPECT_EQ(Serialize(response, "Mon, 23 Nov 2026 15:40:00 GMT", "", false),
            "HTTP/1.1 200 OK\r\nServer: lazaret\r\nDate: Mon, 23 Nov 2026 15:40:00 GMT\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nRetry-After: 3\r\n\r\n{}");
}

TEST(Serialize, SaysWhatBecomesOfTheConnection) {
  EXPECT_THAT(Serialize({.body = {}, .headers = {}}, "", "close", false), HasSubstr("\r\nConnection: close\r\n"));
}

TEST(Serialize, LeavesTheBodyOutForHeadButNotItsLength) {
  const std::string text = Serialize({.body = "12345", .headers = {}}, "", "", true);
  EXPECT_THAT(text, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST(ProblemFor, MapsEveryErrorToItsStatus) {
  const auto status = [](Errc code) { return ProblemFor({code, "why"}, std::chrono::seconds(7)).status; };
  EXPECT_EQ(status(Errc::kMalformed), 400);
  EXPECT_EQ(status(Errc::kTooLarge), 413);
  EXPECT_EQ(status(Errc::kNotFound), 404);
  EXPECT_EQ(status(Errc::kTimeout), 504);
  EXPECT_EQ(status(Errc::kOverloaded), 503);
  EXPECT_EQ(status(Errc::kUnavailable), 503);
  EXPECT_EQ(status(Errc::kCancelled), 503);
  EXPECT_EQ(status(Errc::kDisconnected), 400);
  EXPECT_EQ(status(Errc::kCorrupt), 500);
  EXPECT_EQ(status(Errc::kInternal), 500);
}

TEST(ProblemFor, TellsWhenToComeAgainOnlyWhereThatHelps) {
  EXPECT_EQ(ProblemFor({Errc::kOverloaded, ""}, std::chrono::seconds(7)).headers.front().second, "7");
  EXPECT_TRUE(ProblemFor({Errc::kMalformed, ""}, std::chrono::seconds(7)).headers.empty());
}

TEST(ProblemForBody, BlamesTheClientForATimeOutAndCloses) {
  const Response response = ProblemForBody({Errc::kTimeout, "slow"}, std::chrono::seconds(1));
  EXPECT_EQ(response.status, 408);
  EXPECT_TRUE(response.close);
}

TEST(Problem, EscapesItsDetail) {
  EXPECT_EQ(Problem(400, "bad", "a \"b\"").body,
            "{\"type\":\"urn:lazaret:problem:bad\",\"title\":\"Bad Request\",\"status\":400,"
            "\"detail\":\"a \\\"b\\\"\"}\n");
}

}  // namespace
}  // namespace lazaret::http
