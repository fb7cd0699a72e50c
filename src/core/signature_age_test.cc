#include "core/signature_age.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/verdict_samples.h"

namespace lazaret {
namespace {

using testing::HasSubstr;

const WallTime kBuilt = WallTime(seconds(1'767'225'600));
constexpr milliseconds kLimit = std::chrono::days(7);

EngineInfoPtr Engine(std::optional<WallTime> built_at, std::optional<WallTime> files_at, bool test_set = false) {
  EngineInfo engine = SampleEngine();
  engine.built_at = built_at;
  engine.files_at = files_at;
  engine.test_set = test_set;
  return std::make_shared<const EngineInfo>(engine);
}

TEST(SignatureAge, CountsFromTheDatabasesAndElseFromTheFiles) {
  EXPECT_EQ(DateOf(*Engine(kBuilt, kBuilt + seconds(5))), kBuilt);
  EXPECT_EQ(DateOf(*Engine(std::nullopt, kBuilt + seconds(5))), kBuilt + seconds(5));
  EXPECT_EQ(DateOf(*Engine(std::nullopt, std::nullopt)), std::nullopt);
  EXPECT_EQ(DateOf(*Engine(kBuilt, kBuilt, true)), std::nullopt) << "the built-in test set has no age";
  EXPECT_EQ(AgeOf(*Engine(kBuilt, std::nullopt), kBuilt + seconds(3)), seconds(3));
  EXPECT_EQ(AgeOf(*Engine(kBuilt, std::nullopt), kBuilt - seconds(3)), milliseconds(0)) << "a clock that is behind";
}

TEST(SignatureAge, HasALimitThatIsNoPartOfWhatIsTooOld) {
  const AgeLimit warn{AgeAction::kWarn, kLimit};
  for (const EngineInfoPtr& engine : {Engine(kBuilt, std::nullopt), Engine(std::nullopt, kBuilt)}) {
    EXPECT_FALSE(FindOldSignatures(engine, warn, kBuilt + kLimit - milliseconds(1)));
    EXPECT_FALSE(FindOldSignatures(engine, warn, kBuilt + kLimit));
    const auto old = FindOldSignatures(engine, warn, kBuilt + kLimit + milliseconds(1));
    ASSERT_TRUE(old);
    EXPECT_FALSE(old->fails);
    EXPECT_THAT(old->text, HasSubstr("7.0 days old"));
  }
  const auto failing =
      FindOldSignatures(Engine(kBuilt, std::nullopt), {AgeAction::kFail, kLimit}, kBuilt + kLimit + milliseconds(1));
  ASSERT_TRUE(failing);
  EXPECT_TRUE(failing->fails);
}

TEST(SignatureAge, IsNotJudgedWithoutALimitAnEngineOrADate) {
  const WallTime late = kBuilt + 100 * kLimit;
  EXPECT_FALSE(FindOldSignatures(Engine(kBuilt, std::nullopt), {AgeAction::kIgnore, kLimit}, late));
  EXPECT_FALSE(FindOldSignatures(nullptr, {AgeAction::kFail, kLimit}, late));
  EXPECT_FALSE(FindOldSignatures(Engine(std::nullopt, std::nullopt), {AgeAction::kFail, kLimit}, late));
  EXPECT_FALSE(FindOldSignatures(Engine(kBuilt, kBuilt, true), {AgeAction::kFail, kLimit}, late));
}

}  // namespace
}  // namespace lazaret
