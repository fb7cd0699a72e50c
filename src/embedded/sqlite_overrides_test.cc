#include "embedded/sqlite_overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/override_samples.h"
#include "embedded/sqlite_samples.h"

namespace lazaret::embedded {
namespace {

using testing::HasSubstr;

class SqliteOverridesTest : public testing::Test {
 protected:
  SqliteOverridesTest() { Open(); }

  Result<void> TryOpen(std::size_t max_entries = 3) {
    store_.reset();
    board_ = std::make_unique<OverrideBoard>(clock_, log_);
    auto opened = SqliteOverrides::Open({.path = Path(), .max_entries = max_entries}, *board_, disk_);
    if (!opened) return std::unexpected(opened.error());
    store_ = *std::move(opened);
    return {};
  }
  void Open() {
    const auto opened = TryOpen();
    ASSERT_TRUE(opened) << opened.error().what;
  }
  std::string Path() const { return directory_.path() + "/overrides.db"; }
  Result<void> Put(const Override& entry) { return Await(store_->Put(entry)); }
  Result<void> Remove(std::size_t number) { return Await(store_->Remove(SampleDigest(number))); }
  bool Knows(std::size_t number) const { return board_->Find(SampleDigest(number)) != nullptr; }

  TestDirectory directory_;
  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  aio::BlockingPool disk_{2};
  std::unique_ptr<OverrideBoard> board_;
  std::unique_ptr<SqliteOverrides> store_;
};

TEST_F(SqliteOverridesTest, KeepsThemOverARestart) {
  Override entry = SampleOverride(1, VerdictKind::kInfected);
  entry.until = clock_.Now() + std::chrono::hours(1);
  ASSERT_TRUE(Put(entry));
  ASSERT_TRUE(Put(SampleOverride(2)));
  EXPECT_TRUE(Knows(1) && Knows(2));
  Open();
  EXPECT_EQ(*board_->Find(SampleDigest(1)), entry);
  EXPECT_EQ(*board_->Find(SampleDigest(2)), SampleOverride(2));
  EXPECT_EQ(board_->size(), 2u);
}

TEST_F(SqliteOverridesTest, ReplacesAndRemoves) {
  ASSERT_TRUE(Put(SampleOverride(1)));
  ASSERT_TRUE(Put(SampleOverride(1, VerdictKind::kInfected)));
  Open();
  EXPECT_EQ(board_->Find(SampleDigest(1))->kind, VerdictKind::kInfected);
  ASSERT_TRUE(Remove(1));
  EXPECT_FALSE(Knows(1));
  EXPECT_EQ(Remove(1).error().code, Errc::kNotFound);
  Open();
  EXPECT_FALSE(Knows(1));
}

TEST_F(SqliteOverridesTest, TakesNoMoreThanItMayAndDoesNotCountWhatIsOver) {
  Override short_lived = SampleOverride(1);
  short_lived.until = clock_.Now() + seconds(1);
  ASSERT_TRUE(Put(short_lived));
  ASSERT_TRUE(Put(SampleOverride(2)));
  ASSERT_TRUE(Put(SampleOverride(3)));
  const auto refused = Put(SampleOverride(4));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  EXPECT_THAT(refused.error().what, HasSubstr("override.max_entries"));
  EXPECT_FALSE(Knows(4));
  ASSERT_TRUE(Put(SampleOverride(3, VerdictKind::kInfected))) << "it is no more than before";
  clock_.Advance(seconds(1));
  ASSERT_TRUE(Put(SampleOverride(4)));
  EXPECT_FALSE(Knows(1));
  EXPECT_EQ(Remove(1).error().code, Errc::kNotFound) << "it is over";
  Open();
  EXPECT_TRUE(Knows(2) && Knows(3) && Knows(4));
}

TEST_F(SqliteOverridesTest, ForgetsWhatEndedWhileItWasAway) {
  Override entry = SampleOverride(1);
  entry.until = clock_.Now() + seconds(1);
  ASSERT_TRUE(Put(entry));
  clock_.Advance(seconds(1));
  Open();
  EXPECT_FALSE(Knows(1));
}

TEST_F(SqliteOverridesTest, DoesNotStartWithoutThoseThatItHad) {
  ASSERT_TRUE(Put(SampleOverride(1, VerdictKind::kInfected)));
  store_.reset();
  std::fstream file(Path(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(20);
  file << std::string(4000, 'x');
  file.close();
  const auto opened = TryOpen();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kCorrupt);
  EXPECT_THAT(opened.error().what, HasSubstr("delete it with its -wal and -shm"));
  std::filesystem::remove(Path());
  std::filesystem::remove(Path() + "-wal");
  std::filesystem::remove(Path() + "-shm");
  Open();
  EXPECT_EQ(board_->size(), 0u);
}

TEST_F(SqliteOverridesTest, DoesNotBelieveARowThatIsDamaged) {
  ASSERT_TRUE(Put(SampleOverride(1)));
  store_.reset();
  {
    auto connection = SqliteConnection::Open(Path(), seconds(1));
    ASSERT_TRUE(connection);
    ASSERT_TRUE(connection->Execute("UPDATE overrides SET entry = x'0102030405060708090a'"));
  }
  const auto opened = TryOpen();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace lazaret::embedded
