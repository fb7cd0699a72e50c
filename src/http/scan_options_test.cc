#include "http/scan_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::http {
namespace {

using testing::HasSubstr;

ScanRecord Record() {
  return {std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of({}), .profile = Sha256::Of({})}), 1,
          WallTime{}, 1};
}

TEST(ParseScanOptions, MapsVerdictsToStatuses) {
  const auto options = ParseScanOptions("on_infected=403&on_unscannable=422&name=a%20b");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->name, "a b");
  EXPECT_EQ(options->StatusFor(Verdict::Clean(Record())), 200);
  EXPECT_EQ(options->StatusFor(Verdict::Infected(Record(), {"x"})), 403);
  EXPECT_EQ(options->StatusFor(Verdict::Unscannable(Record(), Reason::kTimeout, "")), 422);
}

TEST(ParseScanOptions, AnswersEverythingWith200UnlessAsked) {
  const auto options = ParseScanOptions("");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->StatusFor(Verdict::Infected(Record(), {"x"})), 200);
  EXPECT_EQ(options->StatusFor(Verdict::Unscannable(Record(), Reason::kTimeout, "")), 200);
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
}

}  // namespace
}  // namespace lazaret::http
