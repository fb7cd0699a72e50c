#include "fleet/verdict_value.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/verdict_samples.h"

namespace lazaret::fleet {
namespace {

const FakeClock kClock;

TEST(VerdictValue, IsReadBackForItsContentAlone) {
  const auto value = EncodeVerdictValue(SampleDigest(1), *SampleInfected(kClock));
  ASSERT_TRUE(value);
  const auto verdict = DecodeVerdictValue(SampleDigest(1), AsBytes(*value));
  ASSERT_TRUE(verdict) << verdict.error().what;
  ExpectSame(**verdict, *SampleInfected(kClock));
  EXPECT_EQ(DecodeVerdictValue(SampleDigest(2), AsBytes(*value)).error().code, Errc::kCorrupt);
}

TEST(VerdictValue, EveryFlippedBitAndEveryCutIsNoVerdict) {
  const std::string value = *EncodeVerdictValue(SampleDigest(1), *SampleClean(kClock));
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::string flipped = value;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(DecodeVerdictValue(SampleDigest(1), AsBytes(flipped))) << i;
    EXPECT_FALSE(DecodeVerdictValue(SampleDigest(1), AsBytes(value.substr(0, i)))) << i;
  }
  EXPECT_FALSE(DecodeVerdictValue(SampleDigest(1), AsBytes(value + "x")));
}

// The bytes that verdict_store.lua compares.
std::string BuildTimeOf(std::optional<WallTime> built_at) {
  EngineInfo engine = SampleEngine();
  engine.built_at = built_at;
  return EncodeVerdictValue(SampleDigest(1), Verdict::Clean(SampleRecord(kClock, engine)))->substr(4, 8);
}

TEST(VerdictValue, BuildTimesSortAsBytes) {
  std::int64_t last = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t time :
       {std::int64_t{-256}, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, std::int64_t{255}, std::int64_t{256},
        std::int64_t{1'763'881'200'123}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_LT(BuildTimeOf(WallTime(milliseconds(last))), BuildTimeOf(WallTime(milliseconds(time)))) << time;
    last = time;
  }
}

TEST(VerdictValue, RefusesJustOneByteMoreThanItsLimit) {
  const auto with_detail = [](std::size_t size) {
    return Verdict::Unscannable(SampleRecord(kClock), Reason::kTimeout, std::string(size, 'x'));
  };
  const std::size_t rest = EncodeVerdictValue(SampleDigest(1), with_detail(0))->size();
  const auto largest = EncodeVerdictValue(SampleDigest(1), with_detail(kMaxVerdictBytes - rest));
  ASSERT_TRUE(largest);
  EXPECT_TRUE(DecodeVerdictValue(SampleDigest(1), AsBytes(*largest)));
  EXPECT_EQ(EncodeVerdictValue(SampleDigest(1), with_detail(kMaxVerdictBytes - rest + 1)).error().code,
            Errc::kTooLarge);
}

}  // namespace
}  // namespace lazaret::fleet
