#include "clamav/engine_identity.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace lazaret::clamav
