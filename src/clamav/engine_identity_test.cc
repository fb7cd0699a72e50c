#include "clamav/engine_identity.h"

#include <gtest/gtest.h>

#include "core/freshness.h"

namespace lazaret::clamav {
namespace {

SignatureSnapshot Snapshot() { return {"/signatures", Sha256::Of(AsBytes("set")), 3, false}; }

TEST(DescribeEngine, LabelsTheDatabasesAndTakesTheNewestBuildTime) {
  wire::Ready ready;
  ready.engine_version = "1.4.6";
  ready.databases = {{"daily", 28129, 10, 1700000000}, {"main", 63, 20, 1600000000}};
  const EngineInfo info = DescribeEngine(Snapshot(), {}, ready);
  EXPECT_EQ(info.signature_label, "daily 28129, main 63, " + Snapshot().digest.Hex().substr(0, 8));
  EXPECT_EQ(info.built_at, WallTime(seconds(1700000000)));
  EXPECT_EQ(info.signature_set, Snapshot().digest);
}

TEST(DescribeEngine, HasNoBuildTimeWithoutOfficialDatabases) {
  EXPECT_EQ(DescribeEngine(Snapshot(), {}, {}).built_at, std::nullopt);
}

// A false positive of a dated, newer set must not stay fresh for a fleet that went back from it.
TEST(GoneBackFrom, IsNotAnsweredForByTheSetThatWasLeft) {
  const auto dated = [](std::string_view content, std::int64_t built_at) {
    wire::Ready ready;
    ready.databases = {{"daily", 28129, 10, built_at}};
    return DescribeEngine({"/signatures", Sha256::Of(AsBytes(content)), 1, false}, {}, ready);
  };
  const EngineInfo bad = dated("bad", 1700000001);
  const EngineInfo good = dated("good", 1700000000);
  EXPECT_TRUE(IsFresh(bad, good, CacheSharing::kFleet)) << "an update that has not come here yet";
  const EngineInfo back = GoneBackFrom(bad.signature_set, good);
  EXPECT_FALSE(IsFresh(bad, back, CacheSharing::kFleet));
  EXPECT_FALSE(IsNewerSet(bad, back)) << "it would not be replaced in Redis";
  EXPECT_TRUE(GoneBackFrom(bad.signature_set, good).SameIdentity(back)) << "all who have gone back share verdicts";
  EXPECT_EQ(back.signature_set, good.signature_set);
}

TEST(DescribeEngine, MarksTheTestSet) {
  SignatureSnapshot snapshot = Snapshot();
  snapshot.test_set = true;
  EXPECT_NE(DescribeEngine(snapshot, {}, {}).signature_label.find("NOT FOR PRODUCTION"), std::string::npos);
}

TEST(DescribeEngine, HasAnotherProfileForEachThingThatCanChangeAVerdict) {
  const EngineInfo base = DescribeEngine(Snapshot(), {}, {});
  EXPECT_EQ(DescribeEngine(Snapshot(), {}, {}).profile, base.profile);
  const auto differs = [&](auto change) {
    wire::LoadRequest limits;
    wire::Ready ready;
    change(limits, ready);
    EXPECT_NE(DescribeEngine(Snapshot(), limits, ready).profile, base.profile);
  };
  differs([](auto& limits, auto&) { limits.max_file_bytes = 1; });
  differs([](auto& limits, auto&) { limits.max_scan_bytes = 1; });
  differs([](auto& limits, auto&) { limits.max_recursion = 1; });
  differs([](auto& limits, auto&) { limits.max_files = 1; });
  differs([](auto& limits, auto&) { limits.temp_bytes = 1; });
  differs([](auto& limits, auto&) { limits.memory_bytes = 1; });
  differs([](auto& limits, auto&) { limits.detect_pua = true; });
  differs([](auto&, auto& ready) { ready.engine_version = "2"; });
  differs([](auto&, auto& ready) { ready.functionality_level = 1; });
  differs([](auto&, auto& ready) { ready.features = {"rar"}; });
}

// A set of official databases alone.
EngineInfo Official(std::uint32_t daily, std::uint32_t main, std::string_view set, std::size_t files = 2) {
  wire::Ready ready;
  ready.databases = {{"daily", daily, 10, 1700000000 + daily}, {"main", main, 20, 1600000000}};
  return DescribeEngine({"/signatures", Sha256::Of(AsBytes(set)), files, false}, {}, ready);
}

TEST(DescribeEngine, HasTheSameProfileForSetsThatDifferInTheDailyDatabaseAlone) {
  EXPECT_EQ(Official(1, 62, "a").profile, Official(2, 62, "b").profile);
  EXPECT_LT(Official(1, 62, "a").built_at, Official(2, 62, "b").built_at);
}

TEST(DescribeEngine, HasAnotherProfileForSetsThatTheirAgeDoesNotCompare) {
  EXPECT_NE(Official(1, 62, "a").profile, Official(2, 63, "b").profile);
  // Somebody's own signatures, which do not say how old they are.
  EXPECT_NE(Official(1, 62, "a", 3).profile, Official(2, 62, "b", 3).profile);
  EXPECT_NE(Official(1, 62, "a", 3).profile, Official(1, 62, "a", 2).profile);
  EXPECT_EQ(Official(1, 62, "a", 3).profile, Official(1, 62, "a", 3).profile);
}

}  // namespace
}  // namespace lazaret::clamav
