// The verdict cache that nodes share, and what they make of each other's verdicts.
#include <vector>

#include "fleet/verdict_value.h"
#include "integration/fleet_fixture.h"

namespace lazaret::tests {
namespace {

const WallTime kOlder(seconds(1'763'881'200));
const WallTime kNewer = kOlder + seconds(1);
const std::string kKey = fleet::VerdictKey(SampleDigest(1));

VerdictPtr CleanBy(const EngineInfoPtr& engine, const Clock& clock) {
  return std::make_shared<const Verdict>(Verdict::Clean({engine, 5, clock.Now(), 1.0}));
}
VerdictPtr PassingBy(const EngineInfoPtr& engine, const Clock& clock) {
  return std::make_shared<const Verdict>(
      Verdict::Unscannable({engine, 5, clock.Now(), 1.0}, Reason::kTimeout, "too slow"));
}

class FleetCacheTest : public testing::Test {
 protected:
  Result<void> Store(const VerdictPtr& verdict) { return client_.Run(cache_.Store(SampleDigest(1), verdict)); }
  Result<VerdictPtr> Find() { return client_.Run(cache_.Find(SampleDigest(1))); }
  // Of what is found.
  std::string Set() {
    const auto found = Find();
    if (!found) return found.error().what;
    return *found == nullptr ? "nothing" : (*found)->record().engine->signature_label;
  }

  // A node whose clock is a century ahead.
  const SkewedClock clock_{std::chrono::years(100)};
  RedisProcess server_;
  RunningClient client_{server_.Url()};
  fleet::RedisVerdictCache cache_{*client_, clock_, {}};
  const EngineInfoPtr older_ = EngineBuiltAt(kOlder, "older");
  const EngineInfoPtr newer_ = EngineBuiltAt(kNewer, "newer");
};

TEST_F(FleetCacheTest, TakesOneRoundTripEach) {
  ASSERT_TRUE(Store(CleanBy(older_, clock_)));  // the script is known from now on
  const std::uint64_t before = client_.counters().round_trips;
  ASSERT_TRUE(Store(CleanBy(older_, clock_)));
  EXPECT_EQ(client_.counters().round_trips, before + 1);
  ASSERT_NE(Find().value(), nullptr);
  EXPECT_EQ(client_.counters().round_trips, before + 2);
  embedded::MemoryVerdictCache memory(clock_, {}, 10, &cache_, {}, embedded::Backing::kShared);
  for (int i = 0; i < 3; ++i) EXPECT_NE(client_.Run(memory.Find(SampleDigest(1))).value(), nullptr);
  EXPECT_EQ(client_.counters().round_trips, before + 3);
}

TEST_F(FleetCacheTest, EntriesExpireByTheClockOfRedis) {
  const CachePolicy policy;
  ASSERT_TRUE(Store(CleanBy(older_, clock_)));
  const milliseconds lasting(server_.Ask({"PTTL", kKey}).integer());
  EXPECT_LE(lasting, policy.max_age);
  EXPECT_GT(lasting, policy.max_age - kPatience);
  ASSERT_TRUE(Store(PassingBy(older_, clock_)));
  const milliseconds passing(server_.Ask({"PTTL", kKey}).integer());
  EXPECT_LE(passing, policy.passing_age);
  EXPECT_GT(passing, milliseconds(0));
  // Scanned in the future: the clock was set back since.
  ASSERT_TRUE(Store(CleanBy(older_, SkewedClock(std::chrono::years(200)))));
  EXPECT_LE(milliseconds(server_.Ask({"PTTL", kKey}).integer()), policy.max_age);
}

TEST_F(FleetCacheTest, WhatHasExpiredAlreadyIsForgotten) {
  ASSERT_TRUE(Store(CleanBy(older_, clock_)));
  ASSERT_TRUE(Store(CleanBy(older_, SkewedClock())));
  EXPECT_EQ(Set(), "nothing");
  EXPECT_EQ(server_.Ask({"EXISTS", kKey}).integer(), 0);
}

TEST_F(FleetCacheTest, AnOlderSetReplacesNothingOfANewerOne) {
  ASSERT_TRUE(Store(CleanBy(older_, clock_)));
  ASSERT_TRUE(Store(CleanBy(newer_, clock_)));
  EXPECT_EQ(Set(), "newer");
  EXPECT_TRUE(Store(CleanBy(older_, clock_)));
  EXPECT_EQ(Set(), "newer");
  EXPECT_TRUE(Store(PassingBy(older_, clock_)));
  EXPECT_EQ(Set(), "newer");
}

TEST_F(FleetCacheTest, AnOlderSetReplacesWhatIsPassing) {
  ASSERT_TRUE(Store(PassingBy(newer_, clock_)));
  EXPECT_TRUE(Store(CleanBy(older_, clock_)));
  EXPECT_EQ(Set(), "older");
}

TEST_F(FleetCacheTest, WhatCannotBeComparedIsReplaced) {
  EngineInfo other_profile = *newer_;
  other_profile.profile = SampleDigest(7);
  EngineInfo test_set = *newer_;
  test_set.test_set = true;
  for (const EngineInfo& engine :
       {other_profile, test_set, *EngineBuiltAt(std::nullopt, "dateless"), *EngineBuiltAt(kOlder, "as old")}) {
    ASSERT_TRUE(Store(CleanBy(std::make_shared<const EngineInfo>(engine), clock_)));
    EXPECT_TRUE(Store(CleanBy(older_, clock_)));
    EXPECT_EQ(Set(), "older") << engine.signature_label;
  }
  ASSERT_TRUE(Store(CleanBy(newer_, clock_)));
  EXPECT_TRUE(Store(CleanBy(EngineBuiltAt(std::nullopt, "dateless"), clock_)));
  EXPECT_EQ(Set(), "dateless");
}

TEST_F(FleetCacheTest, DamageIsNoMissAndIsRepaired) {
  for (const std::vector<std::string>& damage : {std::vector<std::string>{"SET", kKey, "rubbish"},
                                                 {"SETRANGE", kKey, "60", "x"},
                                                 {"SET", kKey, ""},
                                                 {"HSET", kKey, "a", "b"}}) {
    ASSERT_TRUE(Store(CleanBy(newer_, clock_)));
    if (damage.front() == "HSET") server_.Ask({"DEL", kKey});
    server_.Ask(damage);
    EXPECT_THAT(Find(), FailsWith(Errc::kCorrupt)) << damage.front();
    EXPECT_TRUE(Store(CleanBy(newer_, clock_)));
    EXPECT_EQ(Set(), "newer");
  }
}

TEST_F(FleetCacheTest, TroubleIsNoMiss) {
  ASSERT_TRUE(Store(CleanBy(newer_, clock_)));
  server_.Stop();
  EXPECT_THAT(Find(), FailsWith(Errc::kUnavailable));
  EXPECT_THAT(Store(CleanBy(newer_, clock_)), FailsWith(Errc::kUnavailable));
  server_.Continue();
  EXPECT_TRUE(Eventually([&] { return Find().has_value(); }));
  server_.Kill();
  EXPECT_TRUE(Eventually([&] { return !Find(); }));
  EXPECT_THAT(Find(), FailsWith(Errc::kUnavailable));
}

TEST_F(FleetCacheTest, SaysWhatIsWrongAndWhatHelps) {
  ASSERT_TRUE(Store(CleanBy(newer_, clock_)));
  server_.Ask({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_THAT(Store(CleanBy(newer_, clock_)), FailsWith(Errc::kOverloaded, "raise its maxmemory"));
  EXPECT_TRUE(Find().value() != nullptr);
  server_.Ask({"CONFIG", "SET", "maxmemory", "0"});
  server_.Ask({"CONFIG", "SET", "min-replicas-to-write", "1"});
  EXPECT_THAT(Store(CleanBy(newer_, clock_)), FailsWith(Errc::kUnavailable, "min-replicas-to-write"));
  server_.Ask({"CONFIG", "SET", "min-replicas-to-write", "0"});
  server_.Ask({"REPLICAOF", "127.0.0.1", std::to_string(FreePort())});
  EXPECT_THAT(Store(CleanBy(newer_, clock_)), FailsWith(Errc::kUnavailable));
}

// Nodes that are being updated one after the other.
class FleetTruth : public testing::Test {
 protected:
  RedisProcess server_;
  FleetNode older_{server_.Url(), EngineBuiltAt(kOlder, "older"), {.memory_entries = 1}};
  FleetNode newer_{server_.Url(), EngineBuiltAt(kNewer, "newer"), {.memory_entries = 1}};
};

TEST_F(FleetTruth, AVerdictOfAnOlderSetIsScannedAgainByTheNewer) {
  ASSERT_TRUE(older_.Scan("a"));
  EXPECT_EQ(newer_.FindFresh("a"), nullptr);
  const auto again = newer_.Scan("a");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->cached);
  EXPECT_TRUE(again->fresh);
  EXPECT_EQ(again->verdict->record().engine->signature_label, "newer");
}

TEST_F(FleetTruth, AVerdictOfANewerSetAnswersTheOlder) {
  ASSERT_TRUE(newer_.Scan("a"));
  EXPECT_NE(older_.FindFresh("a"), nullptr);
  const auto answer = older_.Scan("a");
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->cached);
  EXPECT_TRUE(answer->fresh);
  EXPECT_EQ(answer->verdict->record().engine->signature_label, "newer");
  EXPECT_EQ(older_.engine().scans, 0);
}

TEST_F(FleetTruth, NothingGoesBackAndForth) {
  ASSERT_TRUE(older_.Scan("a"));
  ASSERT_TRUE(newer_.Scan("a"));
  for (int i = 0; i < 5; ++i) {
    // Nothing of "a" stays in memory.
    ASSERT_TRUE(older_.Scan("other"));
    ASSERT_TRUE(newer_.Scan("other"));
    for (FleetNode* node : {&older_, &newer_}) {
      const auto answer = node->Scan("a");
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->verdict->record().engine->signature_label, "newer");
    }
  }
  EXPECT_EQ(older_.engine().scans, 2);
  EXPECT_EQ(newer_.engine().scans, 2);
}

TEST_F(FleetTruth, ALateVerdictOfTheOlderDoesNotHideThatOfTheNewer) {
  older_.engine().released = false;
  auto late = older_.Submit("a");
  ASSERT_TRUE(Eventually([&] { return older_.engine().scans == 1; }));
  ASSERT_TRUE(newer_.Scan("a"));
  older_.engine().released = true;
  ASSERT_TRUE(late.get());
  ASSERT_TRUE(Eventually([&] { return older_.stored() == 1; }));
  ASSERT_TRUE(newer_.Scan("other"));
  const auto answer = newer_.Scan("a");
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->cached);
  EXPECT_EQ(answer->verdict->record().engine->signature_label, "newer");
}

TEST_F(FleetTruth, WhoIsUpdatedFindsWhatTheOthersHaveFoundOutMeanwhile) {
  FleetNode late(server_.Url(), EngineBuiltAt(kOlder, "older"));
  ASSERT_TRUE(late.Scan("a"));
  ASSERT_TRUE(newer_.Scan("a"));
  late.engine().Load(EngineBuiltAt(kNewer, "newer"));
  EXPECT_NE(late.FindFresh("a"), nullptr) << "its memory hides what Redis has";
  EXPECT_TRUE(late.Scan("a").value().cached);
  EXPECT_EQ(late.engine().scans, 1);
}

TEST_F(FleetTruth, SetsWithoutATimeAnswerForThemselvesAlone) {
  FleetNode dateless(server_.Url(), EngineBuiltAt(std::nullopt, "dateless"), {.memory_entries = 1});
  FleetNode alike(server_.Url(), EngineBuiltAt(std::nullopt, "dateless"));
  ASSERT_TRUE(newer_.Scan("a"));
  EXPECT_EQ(dateless.FindFresh("a"), nullptr);
  ASSERT_TRUE(dateless.Scan("a"));
  EXPECT_NE(alike.FindFresh("a"), nullptr);
  ASSERT_TRUE(newer_.Scan("other"));
  EXPECT_EQ(newer_.FindFresh("a"), nullptr);
}

TEST_F(FleetTruth, ClocksOfNodesDoNotMatter) {
  FleetNode ahead(server_.Url(), EngineBuiltAt(kNewer, "newer"), {.clock_ahead = std::chrono::years(1)});
  FleetNode behind(server_.Url(), EngineBuiltAt(kNewer, "newer"), {.clock_ahead = -std::chrono::years(1)});
  ASSERT_TRUE(ahead.Scan("a"));
  ASSERT_TRUE(behind.Scan("b"));
  for (const char* text : {"a", "b"}) {
    for (FleetNode* node : {&ahead, &behind, &older_, &newer_}) EXPECT_NE(node->FindFresh(text), nullptr) << text;
  }
}

TEST_F(FleetTruth, WithoutRedisEverybodyScansForItself) {
  ASSERT_TRUE(newer_.Scan("a"));
  server_.Kill();
  EXPECT_TRUE(Eventually([&] { return !newer_.client()->is_up() && !older_.client()->is_up(); }));
  EXPECT_TRUE(newer_.Scan("a").value().cached) << "memory";
  EXPECT_FALSE(older_.Scan("a").value().cached);
  EXPECT_TRUE(older_.Scan("a").value().cached) << "memory";
  server_.Start();
  EXPECT_TRUE(Eventually([&] { return newer_.client()->is_up() && older_.client()->is_up(); }));
  ASSERT_TRUE(newer_.Scan("b"));
  EXPECT_TRUE(older_.Scan("b").value().cached);
}

}  // namespace
}  // namespace lazaret::tests
