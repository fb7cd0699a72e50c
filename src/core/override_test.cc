#include "core/override.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/override_board.h"
#include "core/override_samples.h"
#include "core/verdict_samples.h"

namespace lazaret {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Override, RoundTripsThroughItsEncoding) {
  Override entry = SampleOverride(1, VerdictKind::kInfected);
  entry.reason = "\"quoted\" \xc3\xa4 \xff";
  entry.by = "root@node \"1\"";
  for (const auto until : {std::optional<WallTime>(), std::optional(WallTime(milliseconds(-5))),
                           std::optional(WallTime(milliseconds(1'763'881'200'123)))}) {
    entry.until = until;
    for (const VerdictKind kind : {VerdictKind::kClean, VerdictKind::kInfected}) {
      entry.kind = kind;
      entry.signature = kind == VerdictKind::kClean ? "" : "A.b_c-1+2/3";
      const auto decoded = DecodeOverride(AsBytes(EncodeOverride(entry)));
      ASSERT_TRUE(decoded) << decoded.error().what;
      EXPECT_EQ(*decoded, entry);
    }
  }
}

TEST(Override, IsCorruptWithAnyBitFlippedOrCutOff) {
  const std::string bytes = EncodeOverride(SampleOverride(1, VerdictKind::kClean));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(DecodeOverride(AsBytes(bytes.substr(0, i))).error().code, Errc::kCorrupt) << i;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      const auto decoded = DecodeOverride(AsBytes(flipped));
      ASSERT_FALSE(decoded) << i << " " << bit;
      EXPECT_EQ(decoded.error().code, Errc::kCorrupt);
    }
  }
}

TEST(CheckOverride, TakesWhatIsJustAllowedAndNothingMore) {
  Override entry = SampleOverride(1, VerdictKind::kInfected);
  const auto is_good = [&] { return CheckOverride(entry).has_value(); };
  entry.reason = std::string(kMaxOverrideReason, 'x');
  entry.signature = std::string(kMaxOverrideSignature, 'x');
  EXPECT_TRUE(is_good());
  entry.reason += 'x';
  EXPECT_FALSE(is_good());
  for (const char* reason : {"", "a\nb", "a\x7f", "\x1b[31m"}) {
    entry.reason = reason;
    EXPECT_FALSE(is_good()) << reason;
  }
  entry.reason = "why";
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a:b"), std::string("\xc3\xa4"),
                                  std::string(kMaxOverrideSignature + 1, 'x')}) {
    entry.signature = name;
    EXPECT_FALSE(is_good()) << name;
  }
  entry.kind = VerdictKind::kClean;
  entry.signature = "";
  EXPECT_TRUE(is_good());
  entry.signature = "A";
  EXPECT_FALSE(is_good());
  entry.signature = "";
  for (const int kind : {0, 3, 9}) {
    entry.kind = static_cast<VerdictKind>(kind);
    EXPECT_FALSE(is_good());
  }
}

class OverrideBoardTest : public testing::Test {
 protected:
  Override Until(std::size_t number, milliseconds from_now) const {
    Override entry = SampleOverride(number);
    entry.until = board_.Now() + from_now;
    return entry;
  }
  bool Knows(std::size_t number) const { return board_.Find(SampleDigest(number)) != nullptr; }

  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kWarning};
  OverrideBoard board_{clock_, log_};
};

TEST_F(OverrideBoardTest, FindsWhatWasPutUntilItIsDropped) {
  EXPECT_FALSE(Knows(1));
  board_.Put(SampleOverride(1));
  board_.Put(SampleOverride(2, VerdictKind::kInfected));
  EXPECT_EQ(*board_.Find(SampleDigest(1)), SampleOverride(1));
  EXPECT_FALSE(Knows(3));
  board_.Put(SampleOverride(1, VerdictKind::kInfected));
  EXPECT_EQ(board_.Find(SampleDigest(1))->kind, VerdictKind::kInfected);
  EXPECT_EQ(board_.size(), 2u);
  board_.Drop(SampleDigest(1));
  board_.Drop(SampleDigest(7));
  EXPECT_FALSE(Knows(1));
  EXPECT_TRUE(Knows(2));
  board_.Replace({SampleOverride(5)});
  EXPECT_FALSE(Knows(2));
  EXPECT_TRUE(Knows(5));
}

TEST_F(OverrideBoardTest, EndsAnOverrideExactlyWhenItsTimeIsOver) {
  board_.Put(Until(1, milliseconds(1000)));
  board_.Put(SampleOverride(2));
  clock_.Advance(milliseconds(999));
  EXPECT_TRUE(Knows(1));
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(Knows(1));
  EXPECT_EQ(board_.size(), 1u);
  ASSERT_EQ(board_.List().size(), 1u);
  EXPECT_EQ(board_.List().front()->id, SampleDigest(2));
  board_.DropExpired();
  EXPECT_TRUE(Knows(2));
}

TEST_F(OverrideBoardTest, ListsTheNewestFirst) {
  for (const std::size_t number : {1, 3, 2}) {
    Override entry = SampleOverride(number);
    entry.since += seconds(number);
    board_.Put(entry);
  }
  std::vector<Digest> ids;
  for (const OverridePtr& entry : board_.List()) ids.push_back(entry->id);
  EXPECT_THAT(ids, ElementsAre(SampleDigest(3), SampleDigest(2), SampleDigest(1)));
  board_.Replace({});
  EXPECT_THAT(board_.List(), IsEmpty());
}

TEST_F(OverrideBoardTest, GoesByTheClockThatItWasTold) {
  const WallTime elsewhere = clock_.Now() + std::chrono::hours(5);
  Override entry = SampleOverride(1);
  entry.until = elsewhere + seconds(2);
  board_.Put(entry);
  EXPECT_TRUE(Knows(1));
  board_.FollowClock(elsewhere, clock_.SteadyNow());
  EXPECT_EQ(board_.Now(), elsewhere);
  EXPECT_TRUE(Knows(1));
  clock_.Advance(milliseconds(1999));
  EXPECT_TRUE(Knows(1));
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(Knows(1));
}

class LoggedBoard : public testing::Test {
 protected:
  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kInfo};
  OverrideBoard board_{clock_, log_};
};

TEST_F(LoggedBoard, TellsOfEveryChangeAndOfTheFirstUse) {
  testing::internal::CaptureStderr();
  Override entry = SampleOverride(1);
  entry.until = clock_.Now() + seconds(1);
  board_.Put(entry);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("override in force"));
  testing::internal::CaptureStderr();
  board_.Replace({entry});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "it is the same";
  testing::internal::CaptureStderr();
  (void)board_.Find(SampleDigest(1));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("override used for the first time"));
  testing::internal::CaptureStderr();
  board_.Replace({entry, SampleOverride(2)});
  (void)board_.Find(SampleDigest(1));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::Not(HasSubstr("first time")));
  testing::internal::CaptureStderr();
  clock_.Advance(seconds(1));
  board_.DropExpired();
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("override ended"));
}

}  // namespace
}  // namespace lazaret
