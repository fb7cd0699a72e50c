#include "clamav/clamd_identity.h"

#include <gtest/gtest.h>

#include "base/scoped_time_zone.h"

namespace lazaret::clamav {
namespace {

using namespace std::chrono;
using namespace std::string_literals;

constexpr WallTime kNow{sys_days{November / 23 / 2026}};
constexpr ClamdAbilities kAbilities{.tells_limits = true, .tells_encryption = true, .largest = 1000};

wire::ClamdVersion Version(const std::string& text) { return wire::ParseClamdVersion(text + "\0"s).value(); }
EngineInfo Describe(const std::string& text, ClamdAbilities abilities = kAbilities, std::uint64_t most = 1000,
                    WallTime now = kNow) {
  return DescribeClamd(Version(text), abilities, most, now);
}

constexpr const char* kMonday = "ClamAV 1.4.6/28129/Mon Nov 23 07:00:00 2026";
constexpr const char* kTuesday = "ClamAV 1.4.6/28130/Tue Nov 24 07:00:00 2026";

TEST(ClamdIdentity, TellsWhatPeopleWantToKnow) {
  const ScopedTimeZone zone("UTC");
  const EngineInfo info = Describe(kMonday);
  EXPECT_EQ(info.version_line, kMonday);
  EXPECT_EQ(info.name, "ClamAV");
  EXPECT_EQ(info.version, "1.4.6");
  EXPECT_EQ(info.signature_label, "daily 28129, by clamd");
  EXPECT_EQ(info.built_at, kNow + 7h);
  ASSERT_EQ(info.databases.size(), 1u);
  EXPECT_EQ(info.databases[0].version, 28129u);
}

TEST(ClamdIdentity, EqualServersHaveOneIdentity) { EXPECT_TRUE(Describe(kMonday).SameIdentity(Describe(kMonday))); }

TEST(ClamdIdentity, WhateverCanChangeAVerdictChangesIt) {
  const EngineInfo info = Describe(kMonday);
  EXPECT_FALSE(info.SameIdentity(Describe(kTuesday)));
  EXPECT_FALSE(info.SameIdentity(Describe("ClamAV 1.4.5/28129/Mon Nov 23 07:00:00 2026")));
  EXPECT_FALSE(info.SameIdentity(Describe("ClamAV 1.4.6/28129/Mon Nov 23 07:00:01 2026")));
  EXPECT_FALSE(info.SameIdentity(Describe("ClamAV 1.4.6")));
  EXPECT_FALSE(info.SameIdentity(Describe(kMonday, {.tells_encryption = true, .largest = 1000})));
  EXPECT_FALSE(info.SameIdentity(Describe(kMonday, {.tells_limits = true, .largest = 1000})));
  EXPECT_FALSE(info.SameIdentity(Describe(kMonday, {.tells_limits = true, .tells_encryption = true, .largest = 999})));
  EXPECT_FALSE(info.SameIdentity(Describe(kMonday, kAbilities, 1001)));
}

TEST(ClamdIdentity, ASetWithoutANameIsTrustedForADay) {
  const EngineInfo info = Describe("ClamAV 1.4.6");
  EXPECT_TRUE(info.SameIdentity(Describe("ClamAV 1.4.6", kAbilities, 1000, kNow + 24h - 1ms)));
  EXPECT_FALSE(info.SameIdentity(Describe("ClamAV 1.4.6", kAbilities, 1000, kNow + 24h)));
  EXPECT_TRUE(Describe(kMonday).SameIdentity(Describe(kMonday, kAbilities, 1000, kNow + 240h)));
}

TEST(ClamdIdentity, KnowsTheOlderSet) {
  const auto monday = Version(kMonday), tuesday = Version(kTuesday), none = Version("ClamAV 1.4.6");
  EXPECT_EQ(OlderOf(monday, tuesday), &monday);
  EXPECT_EQ(OlderOf(tuesday, monday), &monday);
  EXPECT_EQ(OlderOf(monday, none), nullptr);
  EXPECT_EQ(OlderOf(none, monday), nullptr);
  const auto other_engine = Version("ClamAV 1.4.5/28129/Mon Nov 23 07:00:00 2026");
  EXPECT_EQ(OlderOf(monday, other_engine), nullptr);
}

TEST(ClamdIdentity, KnowsTheNewestSet) {
  const auto monday = Version(kMonday), tuesday = Version(kTuesday), none = Version("ClamAV 1.4.10");
  EXPECT_TRUE(IsNewer(tuesday, monday));
  EXPECT_FALSE(IsNewer(monday, tuesday));
  EXPECT_FALSE(IsNewer(monday, monday));
  EXPECT_TRUE(IsNewer(monday, none));
  EXPECT_FALSE(IsNewer(none, monday));
  EXPECT_TRUE(IsNewer(none, Version("ClamAV 1.4.9")));
}

}  // namespace
}  // namespace lazaret::clamav
