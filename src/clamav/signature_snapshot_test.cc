#include "clamav/signature_snapshot.h"
#include "clamav/signature_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SignatureSnapshotTest : public testing::Test {
 protected:
  SignatureSnapshotTest() : root_(fs::path(testing::TempDir()) / ("signatures" + std::to_string(::getpid()))) {
    fs::create_directories(source_);
  }
  ~SignatureSnapshotTest() override { fs::remove_all(root_); }

  void Write(const std::string& name, std::string_view text) { std::ofstream(source_ / name) << text; }

  Digest Take() {
    const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kLinks);
    EXPECT_TRUE(snapshot) << snapshot.error().what;
    return snapshot->digest;
  }

  fs::path root_;
  fs::path source_ = root_ / "source";
  fs::path into_ = root_ / "into";
};

TEST_F(SignatureSnapshotTest, HoldsTheDatabaseFilesAndNothingElse) {
  Write("a.ndb", "one");
  Write("notes.txt", "two");
  Write("freshclam.dat", "three");
  const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kLinks);
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->files, 1u);
  EXPECT_TRUE(fs::exists(snapshot->directory / "a.ndb"));
  EXPECT_FALSE(fs::exists(snapshot->directory / "notes.txt"));
}

TEST_F(SignatureSnapshotTest, IsNamedByNamesAndContents) {
  Write("a.ndb", "one");
  const Digest first = Take();
  EXPECT_EQ(Take(), first) << "the same set again";
  Write("notes.txt", "not a database");
  EXPECT_EQ(Take(), first);
  Write("b.ndb", "");
  const Digest added = Take();
  EXPECT_NE(added, first);
  fs::remove(source_ / "b.ndb");
  EXPECT_EQ(Take(), first);
  fs::rename(source_ / "a.ndb", source_ / "c.ndb");
  EXPECT_NE(Take(), first) << "renamed";
  fs::rename(source_ / "c.ndb", source_ / "a.ndb");
  fs::remove(source_ / "a.ndb");
  Write("a.ndb", "oNe");
  EXPECT_NE(Take(), first) << "changed";
}

TEST_F(SignatureSnapshotTest, OutlivesTheReplacementOfASourceFile) {
  Write("a.ndb", "one");
  const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kLinks);
  ASSERT_TRUE(snapshot);
  Write("new", "two");
  fs::rename(source_ / "new", source_ / "a.ndb");
  std::string text;
  std::ifstream(snapshot->directory / "a.ndb") >> text;
  EXPECT_EQ(text, "one");
}

TEST_F(SignatureSnapshotTest, LeavesOthersAlone) {
  Write("a.ndb", "one");
  Take();
  Write("b.ndb", "two");
  Take();
  Take();
  EXPECT_EQ(std::distance(fs::directory_iterator(into_), fs::directory_iterator()), 2);
}

TEST_F(SignatureSnapshotTest, TakesWhatLibclamavLoads) {
  for (const char* name : {"a.cdb", "UP.NDB", "daily.cvd", "x.ign2", "y.yara"})
    EXPECT_TRUE(IsDatabaseFile(name)) << name;
  for (const char* name : {"a.txt", "cdb", "a.cdb.bak", "freshclam.dat", ".cdb"})
    EXPECT_FALSE(IsDatabaseFile(name)) << name;
}

TEST_F(SignatureSnapshotTest, FollowsSymbolicLinks) {
  Write("real", "one");
  fs::create_symlink("real", source_ / "a.ndb");
  const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kLinks);
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(snapshot->directory / "a.ndb")));
}

TEST_F(SignatureSnapshotTest, NoticesAFileThatIsWrittenInto) {
  Write("a.ndb", "one");
  const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kLinks);
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(CheckUnchanged(*snapshot));
  Write("a.ndb", "two");
  const auto changed = CheckUnchanged(*snapshot);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Errc::kCorrupt);
}

TEST_F(SignatureSnapshotTest, ShowsNoLaterWritesWhenItIsACopy) {
  Write("a.ndb", "one");
  const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kCopies);
  ASSERT_TRUE(snapshot);
  Write("a.ndb", "two");
  EXPECT_TRUE(CheckUnchanged(*snapshot));
}

TEST_F(SignatureSnapshotTest, ReplacesOneThatWasWrittenInto) {
  Write("a.ndb", "one");
  const auto snapshot = TakeSnapshot(source_, into_, SnapshotBy::kCopies);
  ASSERT_TRUE(snapshot);
  std::ofstream(snapshot->directory / "a.ndb") << "damaged";
  ASSERT_FALSE(CheckUnchanged(*snapshot));
  EXPECT_EQ(Take(), snapshot->digest);
  EXPECT_TRUE(CheckUnchanged(*snapshot));
}

TEST_F(SignatureSnapshotTest, SaysWhereItCannotWrite) {
  Write("a.ndb", "one");
  fs::create_directories(into_);
  std::ofstream(into_ / "taken") << "in the way";
  const auto failed = TakeSnapshot(source_, into_ / "taken", SnapshotBy::kLinks);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().what, HasSubstr((into_ / "taken").native()));
}

TEST_F(SignatureSnapshotTest, SaysWhatIsMissing) {
  const auto empty = TakeSnapshot(source_, into_, SnapshotBy::kLinks);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, Errc::kNotFound);
  EXPECT_THAT(empty.error().what, HasSubstr("freshclam"));
  const auto missing = TakeSnapshot(root_ / "nowhere", into_, SnapshotBy::kLinks);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().what, HasSubstr("nowhere"));
}

TEST_F(SignatureSnapshotTest, MakesTheTestSet) {
  const auto snapshot = MakeTestSnapshot(into_);
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(snapshot->test_set);
  std::string line;
  std::getline(std::ifstream(snapshot->directory / "eicar.ndb"), line);
  EXPECT_THAT(line, testing::MatchesRegex("Eicar-Test-Signature:0:\\*:[0-9a-f]*")) << line;
  EXPECT_EQ(line.size(), std::string_view("Eicar-Test-Signature:0:*:").size() + 2 * 68);
}

}  // namespace
}  // namespace lazaret::clamav
