#include "core/freshness.h"

#include <gtest/gtest.h>

#include "core/verdict_samples.h"

namespace lazaret {
namespace {

EngineInfo BuiltAt(std::optional<WallTime> built_at, std::string_view set) {
  EngineInfo info = SampleEngine();
  info.signature_set = Sha256::Of(AsBytes(set));
  info.built_at = built_at;
  return info;
}

const WallTime kOlder = *SampleEngine().built_at;
const WallTime kNewer = kOlder + milliseconds(1);

bool FreshInFleet(const EngineInfo& made, const EngineInfo& now) { return IsFresh(made, now, CacheSharing::kFleet); }

TEST(IsFresh, HoldsForTheSameSetAndProfile) {
  for (const auto sharing : {CacheSharing::kNobody, CacheSharing::kFleet}) {
    EXPECT_TRUE(IsFresh(SampleEngine(), SampleEngine(), sharing));
    EXPECT_TRUE(IsFresh(BuiltAt(std::nullopt, "a"), BuiltAt(std::nullopt, "a"), sharing));
    EngineInfo other = SampleEngine();
    other.profile = SampleDigest(1);
    EXPECT_FALSE(IsFresh(other, SampleEngine(), sharing));
  }
}

TEST(IsFresh, HoldsForANewerSetInAFleetAlone) {
  EXPECT_TRUE(FreshInFleet(BuiltAt(kNewer, "new"), BuiltAt(kOlder, "old")));
  EXPECT_FALSE(FreshInFleet(BuiltAt(kOlder, "old"), BuiltAt(kNewer, "new")));
  EXPECT_FALSE(IsFresh(BuiltAt(kNewer, "new"), BuiltAt(kOlder, "old"), CacheSharing::kNobody));
}

TEST(IsFresh, FailsWhereNobodyKnowsWhichSetIsNewer) {
  EXPECT_FALSE(FreshInFleet(BuiltAt(kOlder, "a"), BuiltAt(kOlder, "b")));
  EXPECT_FALSE(FreshInFleet(BuiltAt(std::nullopt, "a"), BuiltAt(kOlder, "b")));
  EXPECT_FALSE(FreshInFleet(BuiltAt(kNewer, "a"), BuiltAt(std::nullopt, "b")));
  EXPECT_FALSE(FreshInFleet(BuiltAt(std::nullopt, "a"), BuiltAt(std::nullopt, "b")));
}

TEST(IsFresh, FailsForANewerSetOfAnotherProfile) {
  EngineInfo newer = BuiltAt(kNewer, "new");
  newer.profile = SampleDigest(1);
  EXPECT_FALSE(FreshInFleet(newer, BuiltAt(kOlder, "old")));
}

TEST(IsFresh, NeverTakesTheTestSetForANewerOne) {
  EngineInfo newer = BuiltAt(kNewer, "new");
  newer.test_set = true;
  EXPECT_FALSE(FreshInFleet(newer, BuiltAt(kOlder, "old")));
}

}  // namespace
}  // namespace lazaret
