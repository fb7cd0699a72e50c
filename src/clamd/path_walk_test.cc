#include "clamd/path_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "wire/clamd_answer.h"

namespace lazaret::clamd {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class PathWalkTest : public testing::Test {
 protected:
  PathWalkTest() {
    fs::create_directories(root_ / "in" / "a" / "b");
    Write("in/1");
    Write("in/a/2");
    Write("in/a/b/3");
    Write("out/secret");
  }
  ~PathWalkTest() override { fs::remove_all(root_); }

  void Write(const fs::path& name) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << name.native();
  }

  // What a walk shows, each relative to the test's directory: a file with what is in it, or why there is none.
  std::vector<std::string> Walk(const std::string& path, WalkSettings settings) {
    PathWalk walk(settings, path);
    std::vector<std::string> shown;
    auto item = walk.Begin();
    for (item = item ? std::move(item) : walk.Next(); item; item = walk.Next()) {
      std::string line = item->path;
      if (line.starts_with(root_.native())) line = line.substr(root_.native().size() + 1);
      if (const auto* fd = std::get_if<UniqueFd>(&item->file)) {
        char content[100];
        const ssize_t n = ::pread(fd->Get(), content, sizeof content, 0);
        line += " = " + std::string(content, n > 0 ? static_cast<std::size_t>(n) : 0);
      } else {
        line = std::get<Finding>(item->file).Reply(wire::ClamdAnswer(0, '\n'), line);
        line.pop_back();
      }
      shown.push_back(line);
    }
    EXPECT_FALSE(walk.Next()) << "the end lasts";
    return shown;
  }
  std::vector<std::string> Walk(const std::string& name) { return Walk((root_ / name).native(), Inside()); }
  WalkSettings Inside() const { return {.roots = {root_ / "in"}}; }

  const fs::path root_ = fs::path(testing::TempDir()) / ("walk" + std::to_string(::getpid()));
};

TEST_F(PathWalkTest, ShowsFilesBeforeDirectories) {
  EXPECT_THAT(Walk("in"), ElementsAre("in/1 = in/1", "in/a/2 = in/a/2", "in/a/b/3 = in/a/b/3"));
  EXPECT_THAT(Walk("in/a/b/"), ElementsAre("in/a/b/3 = in/a/b/3"));
  EXPECT_THAT(Walk("in/1"), ElementsAre("in/1 = in/1"));
  EXPECT_THAT(Walk("in/a/../1"), ElementsAre("in/a/../1 = in/1"));
  fs::create_directory(root_ / "in" / "hollow");
  EXPECT_THAT(Walk("in/hollow"), IsEmpty());
}

TEST_F(PathWalkTest, OrdersByInode) {
  fs::create_directory(root_ / "in" / "many");
  std::vector<std::pair<ino_t, std::string>> expected;
  for (const std::string name : {"z", "a", "m", "b"}) {
    Write("in/many/" + name);
    struct stat status{};
    ASSERT_EQ(::stat((root_ / "in/many" / name).c_str(), &status), 0);
    expected.emplace_back(status.st_ino, "in/many/" + name + " = in/many/" + name);
  }
  std::ranges::sort(expected);
  std::vector<std::string> lines;
  for (const auto& [inode, line] : expected) lines.push_back(line);
  EXPECT_EQ(Walk("in/many"), lines);
}

TEST_F(PathWalkTest, StaysBeneathItsRoots) {
  fs::create_symlink(root_ / "out", root_ / "in" / "absolute");
  fs::create_symlink("../out", root_ / "in" / "relative");
  fs::create_symlink("a", root_ / "in" / "within");
  EXPECT_THAT(Walk("out/secret"), ElementsAre("out/secret: Access denied. ERROR"));
  EXPECT_THAT(Walk("in/../out/secret"), ElementsAre("in/../out/secret: Access denied. ERROR"));
  EXPECT_THAT(Walk("in/absolute/secret"), ElementsAre("in/absolute/secret: Access denied. ERROR"));
  EXPECT_THAT(Walk("in/relative/secret"), ElementsAre("in/relative/secret: Access denied. ERROR"));
  EXPECT_THAT(Walk("in/within/2"), ElementsAre("in/within/2 = in/a/2"));
  EXPECT_THAT(Walk("inside"), ElementsAre("inside: Access denied. ERROR")) << "a root is a directory, not a prefix";
  EXPECT_THAT(Walk((root_ / "in/1").native(), {.roots = {}}), ElementsAre("in/1: Access denied. ERROR"));
  EXPECT_THAT(Walk((root_ / "in/1").native(), {.roots = {root_ / "none", root_ / "in/"}}), ElementsAre("in/1 = in/1"));
  EXPECT_THAT(Walk((root_ / "in/1").native(), {.roots = {"/"}}), ElementsAre("in/1 = in/1"));
  EXPECT_THAT(Walk("in/1", Inside()), ElementsAre("in/1: File path check failure: No such file or directory. ERROR"));
  EXPECT_THAT(Walk("", Inside()), ElementsAre(": File path check failure: No such file or directory. ERROR"));
}

TEST_F(PathWalkTest, PassesOverLinksAndSpecialFilesOfADirectory) {
  fs::create_symlink(root_ / "out" / "secret", root_ / "in" / "link");
  fs::create_symlink("a", root_ / "in" / "way");
  ASSERT_EQ(::mkfifo((root_ / "in" / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(Walk("in"), ElementsAre("in/1 = in/1", "in/a/2 = in/a/2", "in/a/b/3 = in/a/b/3"));
  // By their names they are not forgotten.
  EXPECT_THAT(Walk("in/link"), ElementsAre("in/link: Not supported file type ERROR"));
  EXPECT_THAT(Walk("in/way"), ElementsAre("in/way: Not supported file type ERROR"));
  EXPECT_THAT(Walk("in/fifo"), ElementsAre("in/fifo: Not supported file type ERROR"));
}

TEST_F(PathWalkTest, TellsWhatIsTooDeep) {
  WalkSettings settings = Inside();
  settings.max_depth = 2;
  EXPECT_EQ(Walk((root_ / "in").native(), settings).back(), "in/a/b/3 = in/a/b/3");
  settings.max_depth = 1;
  EXPECT_EQ(Walk((root_ / "in").native(), settings).back(), "in/a/b: Directory recursion limit reached. ERROR");
}

TEST_F(PathWalkTest, TellsWhenThereAreTooMany) {
  WalkSettings settings = Inside();
  settings.max_entries = 5;  // 1, a, 2, b, 3
  EXPECT_EQ(Walk((root_ / "in").native(), settings).size(), 3u);
  settings.max_entries = 4;
  EXPECT_THAT(Walk((root_ / "in").native(), settings),
              ElementsAre("in/1 = in/1", "in/a/2 = in/a/2", "in: Too many files (clamd.max_path_entries). ERROR"));
}

TEST_F(PathWalkTest, CountsWhatItPassesOver) {
  fs::create_directory(root_ / "in" / "links");
  for (const std::string name : {"1", "2", "3"}) fs::create_symlink("/", root_ / "in" / "links" / name);
  WalkSettings settings = Inside();
  settings.max_entries = 3;
  EXPECT_THAT(Walk((root_ / "in/links").native(), settings), IsEmpty());
  settings.max_entries = 2;
  EXPECT_THAT(Walk((root_ / "in/links").native(), settings),
              ElementsAre("in/links: Too many files (clamd.max_path_entries). ERROR"));
}

TEST_F(PathWalkTest, TellsWhatMayNotBeRead) {
  ASSERT_EQ(::chmod((root_ / "in" / "1").c_str(), 0), 0);
  ASSERT_EQ(::chmod((root_ / "in" / "a").c_str(), 0), 0);
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  EXPECT_THAT(Walk("in"), UnorderedElementsAre("in/1: Access denied. ERROR",
                                               "in/a: File path check failure: Permission denied. ERROR"));
}

}  // namespace
}  // namespace lazaret::clamd
