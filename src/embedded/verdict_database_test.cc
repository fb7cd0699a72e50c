#include "embedded/verdict_database.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "embedded/sqlite_samples.h"

namespace lazaret::embedded {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class VerdictDatabaseTest : public SqliteVerdictCacheTest {};

TEST_F(VerdictDatabaseTest, MovesAFileAsideThatIsNoDatabase) {
  std::ofstream(directory_.File()) << std::string(10'000, '?');
  auto cache = Open();
  Store(*cache, 1, 1);
  EXPECT_TRUE(Has(*cache, 1));
  const auto aside = FilesAside();
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_EQ(fs::file_size(directory_.path() + "/" + aside[0]), 10'000u);
}

TEST_F(VerdictDatabaseTest, MovesTheWalAsideWithItsFile) {
  // Closing mostly removes the WAL, but not when SQLite could not write it back.
  for (const char* suffix : {"", "-wal", "-shm"}) std::ofstream(directory_.File() + suffix) << "left behind";
  ASSERT_TRUE(MoveAside(directory_.File(), clock_, log_, "test"));
  const std::string aside = "verdicts.db.corrupt-1767225600";
  EXPECT_THAT(FilesAside(), testing::UnorderedElementsAre(aside, aside + "-wal", aside + "-shm"));
  for (const char* suffix : {"", "-wal", "-shm"}) EXPECT_FALSE(fs::exists(directory_.File() + suffix)) << suffix;
}

TEST_F(VerdictDatabaseTest, MovesADamagedDatabaseAside) {
  const auto overwrite = [this](std::streamoff at, std::size_t count) {
    std::fstream file(directory_.File(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at) << std::string(count, '\xA5');
  };
  for (int damage = 0; damage < 3; ++damage) {
    Store(*Open(), 0, 1000);
    const auto size = fs::file_size(directory_.File());
    if (damage == 0) overwrite(0, 100);
    if (damage == 1) overwrite(static_cast<std::streamoff>(size / 2), 8192);
    if (damage == 2) fs::resize_file(directory_.File(), size / 2);
    clock_.Advance(seconds(1));
    auto cache = Open();
    EXPECT_EQ(cache->stats().entries, 0u) << damage;
    Store(*cache, 1, 1);
    EXPECT_EQ(FilesAside().size(), 1u) << "of all that were moved only the last one stays";
  }
}

TEST_F(VerdictDatabaseTest, MovesAFileAsideThatWasDamagedWhileInUse) {
  // More than the connections hold in memory.
  const auto large = std::make_shared<const Verdict>(
      Verdict::Unscannable(SampleRecord(clock_), Reason::kEncrypted, std::string(16'000, 'x')));
  constexpr std::size_t kRows = 2000;
  for (const bool by_writer : {false, true}) {
    {
      auto cache = Open();
      for (std::size_t i = 0; i < kRows; ++i) ASSERT_TRUE(Await(cache->Store(SampleDigest(i), large)));
    }
    {
      auto cache = Open();
      const auto size = fs::file_size(directory_.File());
      std::fstream file(directory_.File(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(4096) << std::string(size - 4096, '\xA5') << std::flush;
      std::optional<Error> error;
      for (std::size_t i = 0; i < kRows && !error; ++i) {
        if (by_writer) {
          if (const auto stored = Await(cache->Store(SampleDigest(i), large)); !stored) error = stored.error();
        } else {
          if (const auto found = Await(cache->Find(SampleDigest(i))); !found) error = found.error();
        }
      }
      ASSERT_TRUE(error);
      EXPECT_EQ(error->code, Errc::kCorrupt);
      EXPECT_THAT(error->what, HasSubstr(directory_.File()));
    }
    EXPECT_EQ(FilesAside().size(), 1u);
    fs::remove(directory_.path() + "/" + FilesAside()[0]);
  }
  Store(*Open(), 1, 1);
}

TEST_F(VerdictDatabaseTest, RefusesTheFileOfANewerLazaret) {
  Store(*Open(), 1, 1);
  ASSERT_TRUE(MustConnect(directory_.File())
                  .Execute(fmt::format("PRAGMA user_version = {}", kVerdictSchemaVersion + 1).c_str()));
  const Error error = OpenError(directory_.File());
  EXPECT_THAT(error.what, HasSubstr("newer Lazaret (schema 2"));
  EXPECT_EQ(FilesAside().size(), 0u);
  ASSERT_TRUE(
      MustConnect(directory_.File()).Execute(fmt::format("PRAGMA user_version = {}", kVerdictSchemaVersion).c_str()));
  EXPECT_TRUE(Has(*Open(), 1)) << "the refusal changed the file";
}

TEST_F(VerdictDatabaseTest, RefusesTheDatabaseOfAnotherProgram) {
  ASSERT_TRUE(MustConnect(directory_.File()).Execute("CREATE TABLE mails(id INTEGER PRIMARY KEY)"));
  EXPECT_THAT(OpenError(directory_.File()).what, HasSubstr("another program"));
  EXPECT_EQ(FilesAside().size(), 0u);
  EXPECT_EQ(Query("SELECT count(*) FROM mails"), 0);
}

TEST_F(VerdictDatabaseTest, NamesTheCauseWhenThereIsNoDirectory) {
  const Error error = OpenError(directory_.path() + "/missing/verdicts.db");
  EXPECT_EQ(error.code, Errc::kUnavailable);
  EXPECT_THAT(error.what, HasSubstr(directory_.path() + "/missing: No such file or directory; create it"));
  fs::create_directory(directory_.File());
  EXPECT_EQ(OpenError(directory_.File()).code, Errc::kUnavailable);
}

}  // namespace
}  // namespace lazaret::embedded
