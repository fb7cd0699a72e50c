#include "http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "http/sample_exchange.h"

namespace lazaret::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Counted = std::vector<std::pair<std::string, int>>;

class CountingTelemetry final : public Telemetry {
 public:
  void OnRequest(std::string_view route, int status, std::chrono::duration<double>) override {
    counted.emplace_back(route, status);
  }
  Counted counted;
};

class RouterTest : public testing::Test {
 protected:
  static Route Echo(std::string_view method, std::string_view pattern) {
    return {method, pattern, [method](Exchange& exchange) -> aio::Task<Response> {
              co_return Response{.body = std::string(method) + " " + std::string(exchange.variable), .headers = {}};
            }};
  }
  Response Ask(std::string_view method, std::string_view path) { return SampleExchange(method, path).Answer(router_); }
  // The body of a 200, otherwise the status.
  std::string BodyOf(std::string_view method, std::string_view path) {
    const Response response = Ask(method, path);
    return response.status == 200 ? response.body : std::to_string(response.status);
  }

  // Answers at once when `at_hand_` says so.
  Route Quick() {
    return {"POST", "/quick/{id}", [](Exchange&) -> aio::Task<Response> { co_return Response{.headers = {}}; },
            [this](Exchange& exchange) -> std::optional<Response> {
              if (exchange.variable == "broken") throw std::runtime_error("broken assumption");
              if (!at_hand_) return std::nullopt;
              return Response{.status = 202, .body = std::string(exchange.variable), .headers = {}};
            }};
  }
  std::optional<Response> AskNow(std::string_view method, std::string_view path) {
    return SampleExchange(method, path).AnswerNow(router_);
  }

  bool at_hand_ = true;
  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  CountingTelemetry telemetry_;
  Router router_{{Echo("GET", "/a"), Echo("GET", "/a/known"), Echo("GET", "/a/{id}"), Echo("POST", "/a/{id}/again"),
                  Echo("DELETE", "/a/{id}"), Echo("POST", "/b"), Quick(),
                  Route{"GET", "/throws",
                        [](Exchange&) -> aio::Task<Response> {
                          throw std::runtime_error("broken assumption");
                          co_return Response{};
                        }}},
                 "look elsewhere",
                 clock_,
                 log_,
                 telemetry_};
};

TEST_F(RouterTest, FindsTheRouteOfMethodAndPath) {
  EXPECT_EQ(BodyOf("GET", "/a"), "GET ");
  EXPECT_EQ(BodyOf("HEAD", "/a"), "GET ");
  EXPECT_EQ(BodyOf("GET", "/a/x"), "GET x");
  EXPECT_EQ(BodyOf("DELETE", "/a/x"), "DELETE x");
  EXPECT_EQ(BodyOf("POST", "/a/x/again"), "POST x");
  EXPECT_EQ(BodyOf("POST", "/a/again/again"), "POST again");
  EXPECT_EQ(BodyOf("DELETE", "/a/known"), "405") << "the first pattern that fits is the only one";
  for (const char* path : {"/", "/a/", "/aa", "/a/x/", "/a/x/y", "/a//again", "/a/again/", "/A", "/a/x/y/again"}) {
    EXPECT_EQ(BodyOf("GET", path), "404") << path;
  }
}

TEST_F(RouterTest, NamesTheMethodsThatAPathTakes) {
  const Response response = Ask("PUT", "/a/x");
  EXPECT_EQ(response.status, 405);
  EXPECT_THAT(response.headers, ElementsAre(std::pair("Allow", "GET, HEAD, DELETE")));
  EXPECT_THAT(response.body, HasSubstr("/a/{id} takes GET, DELETE"));
  EXPECT_THAT(Ask("HEAD", "/b").headers, ElementsAre(std::pair("Allow", "POST")));
}

TEST_F(RouterTest, AnswersWithAProblemWhatItCannotServe) {
  EXPECT_THAT(Ask("GET", "/none").body, HasSubstr("look elsewhere"));
  SampleExchange expecting("GET", "/a");
  expecting.head.expectation = wire::Expectation::kUnsupported;
  EXPECT_EQ(expecting.Answer(router_).status, 417);
  const Response thrown = Ask("GET", "/throws");
  EXPECT_EQ(thrown.status, 500);
  EXPECT_TRUE(thrown.close);
  EXPECT_THAT(thrown.body, testing::Not(HasSubstr("broken assumption"))) << "that is for the log";
  EXPECT_EQ(router_.OnBadHead({Errc::kTimeout, ""}).status, 408);
  EXPECT_EQ(router_.OnBadHead({Errc::kTooLarge, ""}).status, 431);
  EXPECT_EQ(router_.OnBadHead({Errc::kMalformed, ""}).status, 400);
  EXPECT_TRUE(router_.OnBadHead({Errc::kMalformed, ""}).close);
}

TEST_F(RouterTest, AnswersAtOnceWhatIsAtHand) {
  const auto answer = AskNow("POST", "/quick/x");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 202);
  EXPECT_EQ(answer->body, "x");
  const auto broken = AskNow("POST", "/quick/broken");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->status, 500);
  EXPECT_TRUE(broken->close);
  EXPECT_EQ(telemetry_.counted, (Counted{{"/quick/{id}", 202}, {"/quick/{id}", 500}}));
}

TEST_F(RouterTest, LeavesToTheOtherWayWhatIsNotAtHand) {
  EXPECT_FALSE(AskNow("POST", "/b")) << "it waits in any case";
  EXPECT_FALSE(AskNow("GET", "/quick/x")) << "a wrong method";
  EXPECT_FALSE(AskNow("POST", "/none"));
  SampleExchange expecting("POST", "/quick/x");
  expecting.head.expectation = wire::Expectation::kUnsupported;
  EXPECT_FALSE(expecting.AnswerNow(router_));
  at_hand_ = false;
  EXPECT_FALSE(AskNow("POST", "/quick/x"));
  EXPECT_TRUE(telemetry_.counted.empty()) << "each is counted when it is answered";
}

TEST_F(RouterTest, CountsEveryAnswerUnderItsPattern) {
  Ask("GET", "/a/x");
  Ask("PUT", "/a/x");
  Ask("GET", "/none");
  Ask("GET", "/throws");
  router_.OnBadHead({Errc::kMalformed, ""});
  EXPECT_EQ(telemetry_.counted,
            (Counted{{"/a/{id}", 200}, {"/a/{id}", 405}, {"unknown", 404}, {"/throws", 500}, {"bad-head", 400}}));
}

}  // namespace
}  // namespace lazaret::http
