#include "http/scan_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::http {
namespace {

using testing::HasSubstr;

TEST(ParseScanOptions, MapsVerdictsToStatuses) {
  const auto options = ParseScanOptions("on_infected=403&on_unscannable=422&name=a%20b");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->name, "a b");
  EXPECT_EQ(options->StatusFor(VerdictKind::kClean), 200);
  EXPECT_EQ(options->StatusFor(VerdictKind::kInfected), 403);
  EXPECT_EQ(options->StatusFor(VerdictKind::kUnscannable), 422);
}

TEST(ParseScanOptions, AnswersEverythingWith200UnlessAsked) {
  const auto options = ParseScanOptions("");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->StatusFor(VerdictKind::kInfected), 200);
  EXPECT_EQ(options->StatusFor(VerdictKind::kUnscannable), 200);
}

TEST(ParseScanOptions, RefusesWhatItDoesNotKnow) {
  const auto what = [](std::string_view query) {
    const auto options = ParseScanOptions(query);
    return options ? std::string("accepted") : options.error().what;
  };
  EXPECT_THAT(what("on_infectd=403"), HasSubstr("on_infectd"));
  EXPECT_THAT(what("on_infected=500"), HasSubstr("on_infected must be"));
  EXPECT_THAT(what("on_infected=403x"), HasSubstr("on_infected must be"));
  EXPECT_THAT(what("on_infected="), HasSubstr("on_infected must be"));
  EXPECT_THAT(what("on_unscannable=1"), HasSubstr("on_unscannable must be"));
  EXPECT_THAT(what("on_infected=403&on_infected=200"), HasSubstr("on_infected"));
}

TEST(ParseScanOptions, BoundsTheName) {
  EXPECT_TRUE(ParseScanOptions("name=" + std::string(kMaxNameBytes, 'a')));
  EXPECT_FALSE(ParseScanOptions("name=" + std::string(kMaxNameBytes + 1, 'a')));
  EXPECT_TRUE(ParseSubmitOptions("name=" + std::string(kMaxNameBytes, 'a')));
  EXPECT_FALSE(ParseSubmitOptions("name=" + std::string(kMaxNameBytes + 1, 'a')));
}

TEST(ParseSubmitOptions, TakesACallback) {
  const auto options = ParseSubmitOptions("callback=https%3A%2F%2Fa.example%2F%3Fx%3D1&name=n");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->callback, "https://a.example/?x=1");
  EXPECT_EQ(options->name, "n");
  EXPECT_EQ(ParseSubmitOptions("")->callback, std::nullopt);
  EXPECT_EQ(ParseSubmitOptions("callback=")->callback, "") << "for the policy to refuse";
  EXPECT_FALSE(ParseSubmitOptions("callback=a&callback=b"));
  EXPECT_FALSE(ParseSubmitOptions("on_infected=403")) << "there is no verdict yet to answer with";
}

TEST(ParseWait, TakesSecondsUpToTheMost) {
  const auto wait = [](std::string_view query) { return ParseWait(query, seconds(60)); };
  EXPECT_EQ(wait(""), milliseconds(0));
  EXPECT_EQ(wait("wait=0"), milliseconds(0));
  EXPECT_EQ(wait("wait=0.5"), milliseconds(500));
  EXPECT_EQ(wait("wait=60"), seconds(60));
  EXPECT_EQ(wait("wait=61"), seconds(60)) << "asking for more is no mistake";
  EXPECT_EQ(wait("wait=99999999999999999999"), seconds(60));
  for (const std::string_view bad : {"wait=", "wait=-1", "wait=-0", "wait=1s", "wait=nan", "wait=inf", "wait=1e3",
                                     "wait=1&wait=1", "wiat=1", "wait=0x10", "wait= 1"}) {
    const auto refused = wait(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, Errc::kMalformed);
  }
}

}  // namespace
}  // namespace lazaret::http
