#include "clamav/signature_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

class SignatureFilesTest : public testing::Test {
 protected:
  SignatureFilesTest() : directory_(fs::path(testing::TempDir()) / ("files" + std::to_string(::getpid()))) {
    fs::create_directories(directory_);
  }
  ~SignatureFilesTest() override { fs::remove_all(directory_); }

  void Write(const std::string& name, std::string_view text) const { std::ofstream(directory_ / name) << text; }
  FileMarks Marks() const {
    const auto marks = MarkFiles(directory_);
    EXPECT_TRUE(marks);
    return marks.value_or(FileMarks());
  }
  // As `touch -d` does.
  void SetModified(const std::string& name, std::int64_t nanoseconds) const {
    const timespec time{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    const timespec times[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, (directory_ / name).c_str(), times, 0), 0);
  }

  const fs::path directory_;
};

TEST_F(SignatureFilesTest, MarksOnlyDatabases) {
  Write("b.ndb", "one");
  Write("a.hdb", "two");
  Write("notes.txt", "three");
  fs::create_directory(directory_ / "c.ndb");
  const FileMarks marks = Marks();
  ASSERT_EQ(marks.size(), 2u);
  EXPECT_EQ(marks[0].name, "a.hdb");
  EXPECT_EQ(marks[1].size, 3u);
}

TEST_F(SignatureFilesTest, SeesARemovedFileAndAnotherOneInItsPlace) {
  Write("a.ndb", "one");
  Write("b.ndb", "one");
  const FileMarks before = Marks();
  EXPECT_TRUE(SameContent(before, Marks()));
  Write("new", "one");  // before its number can be that of the removed one
  fs::remove(directory_ / "b.ndb");
  EXPECT_FALSE(SameContent(before, Marks()));
  SetModified("new", before[1].modified_ns);
  fs::rename(directory_ / "new", directory_ / "b.ndb");
  EXPECT_FALSE(SameContent(before, Marks())) << "same size and time, another file";
}

TEST_F(SignatureFilesTest, SeesAWriteThatHidesItself) {
  Write("a.ndb", "one");
  const FileMarks before = Marks();
  Write("a.ndb", "two");
  SetModified("a.ndb", before[0].modified_ns);
  const FileMarks after = Marks();
  EXPECT_NE(before, after) << "st_ctim cannot be set";
  EXPECT_TRUE(SameContent(before, after)) << "which is what a hard link changes, too";
}

TEST_F(SignatureFilesTest, TellsWritingFromReplacing) {
  Write("a.ndb", "one");
  const FileMarks before = Marks();
  EXPECT_FALSE(IsWrittenInto(before, Marks()));
  Write("new", "two");
  fs::rename(directory_ / "new", directory_ / "a.ndb");
  Write("b.ndb", "added");
  const FileMarks replaced = Marks();
  EXPECT_FALSE(IsWrittenInto(before, replaced));
  Write("a.ndb", "three");
  EXPECT_TRUE(IsWrittenInto(replaced, Marks()));
}

TEST_F(SignatureFilesTest, SaysWhenThereIsNoDirectory) {
  const auto marks = MarkFiles(directory_ / "nowhere");
  ASSERT_FALSE(marks);
  EXPECT_EQ(marks.error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace lazaret::clamav
