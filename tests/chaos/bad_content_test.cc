// Contents that break whoever scans them.
#include <fmt/format.h>

#include "chaos/crowd.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

class BadContent : public ServerTest {
 protected:
  double Ended(std::string_view cause) const {
    return Metric(fmt::format("lazaret_scanners_ended_total{{cause=\"{}\"}}", cause));
  }
  // Sends the bad content among forty others and returns the answer to it; the others get what they should.
  Result<HttpResponse> ScanAmongOthers(const std::string& bad) {
    Crowd crowd(port());
    constexpr unsigned kBad = 20;
    for (unsigned i = 0; i < 41; ++i) {
      const std::string good = i % 2 == 0 ? EicarWithPrefix(++used_) : PlainText(2000, ++used_);
      crowd.Add(MakeRequest("POST", "/v1/scan", {}, i == kBad ? bad : good));
    }
    EXPECT_TRUE(crowd.SendAllButTheEnd());
    Result<HttpResponse> bad_answer = Fail(Errc::kNotFound, "never answered");
    std::size_t answered = 0;
    crowd.Finish([&](std::size_t number, const Result<HttpResponse>& answer) {
      ++answered;
      if (number == kBad) {
        bad_answer = answer;
      } else {
        EXPECT_THAT(answer, HasVerdict(number % 2 == 0 ? "infected" : "clean")) << number;
      }
    });
    EXPECT_EQ(answered, crowd.size());
    return bad_answer;
  }

 private:
  unsigned used_ = 0;
};

TEST_F(BadContent, ThatCrashesItsScannerIsTriedSoManyTimesAndNoMore) {
  for (const int attempts : {1, 3}) {
    StartWithHooks({"--set", fmt::format("engine.attempts={}", attempts)});
    for (const std::string_view how : {"crash", "exit"}) {
      const double before = Ended("crashed");
      const std::string content = Hook(how, static_cast<unsigned>(attempts));
      const auto answer = ScanAmongOthers(content);
      ASSERT_THAT(answer, IsUnscannable("engine-crashed")) << how;
      EXPECT_EQ(TextOf(ParseJson(*answer), "verdict"), "unscannable");
      EXPECT_TRUE(Eventually([&] { return Ended("crashed") == before + attempts; })) << how << " " << Ended("crashed");
      // For a while it is remembered, so that it is no way to keep the scanners busy.
      const auto again = Post(port(), "/v1/scan", content);
      ASSERT_THAT(again, IsUnscannable("engine-crashed"));
      EXPECT_TRUE(ParseJson(*again).at("cached").as_bool());
      EXPECT_EQ(Ended("crashed"), before + attempts);
    }
  }
}

TEST_F(BadContent, ThatHangsItsScannerIsGivenUpAtTheDeadline) {
  StartWithHooks({"--set", "engine.deadline=500ms", "--scanners", "1"});
  const auto answer = Post(port(), "/v1/scan", Hook("hang"));
  ASSERT_THAT(answer, IsUnscannable("timeout"));
  EXPECT_TRUE(Eventually([&] { return Ended("deadline") == 1; }));
  EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(1)), HasVerdict("infected"));
  EXPECT_THAT(ScanAmongOthers(Hook("hang", 2)), IsUnscannable("timeout"));
  EXPECT_EQ(Ended("crashed"), 0);
}

TEST_F(BadContent, ThatSpoilsItsAnswerIsNeverClean) {
  StartWithHooks({"--set", "engine.attempts=2"});
  const auto answer = ScanAmongOthers(Hook("garbage"));
  EXPECT_THAT(answer, IsUnscannable("engine-crashed"));
  EXPECT_THAT(Get(port(), "/v1/scans/" + IdOf(Hook("garbage"))), IsUnscannable("engine-crashed"));
}

TEST_F(BadContent, ThatTriesToLeaveItsSandboxIsNeverClean) {
  StartWithHooks({"--set", "engine.attempts=1"});
  EXPECT_THAT(ScanAmongOthers(Hook("sandbox socket-inet")), IsUnscannable("engine-crashed"));
}

}  // namespace
}  // namespace lazaret::tests
