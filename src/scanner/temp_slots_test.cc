#include "scanner/temp_slots.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"

namespace lazaret::scanner {
namespace {

namespace fs = std::filesystem;

class TempSlotsTest : public testing::Test {
 protected:
  TempSlotsTest() {
    std::string path = (fs::temp_directory_path() / "lazaret-slots-XXXXXX").string();
    root_ = ::mkdtemp(path.data());
  }
  ~TempSlotsTest() override {
    std::error_code error;
    fs::remove_all(root_, error);
  }

  fs::path root_;
};

TEST_F(TempSlotsTest, MakesEmptyPrivateDirectories) {
  const TempSlots slots(root_, 3);
  ASSERT_TRUE(slots.RenewAll());
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    EXPECT_TRUE(fs::is_empty(slots.Path(slot)));
    EXPECT_EQ(fs::status(slots.Path(slot)).permissions(), fs::perms::owner_all);
  }
  slots.RemoveAll();
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(TempSlotsTest, EmptiesHostileTrees) {
  const TempSlots slots(root_, 1);
  ASSERT_TRUE(slots.Renew(0));
  const fs::path slot = slots.Path(0);
  const fs::path outside = root_ / "outside";
  std::ofstream(outside) << "stays";
  fs::create_directories(slot / "a" / "b");
  std::ofstream(slot / "a" / "b" / "-rf \n\xFF") << "x";
  fs::create_symlink(root_, slot / "link");
  fs::create_symlink(root_, slot / "a" / "link");
  ::mkfifo((slot / "a" / "fifo").c_str(), 0600);
  fs::create_directories(slot / "lazaret-remove-0" / "lazaret-remove-1" / "x");
  fs::create_directories(slot / "closed" / "inner" / "innermost");
  fs::permissions(slot / "closed" / "inner", fs::perms::none);
  fs::permissions(slot / "closed", fs::perms::none);
  ASSERT_TRUE(slots.Renew(0));
  EXPECT_TRUE(fs::is_empty(slot));
  EXPECT_TRUE(fs::exists(outside));
}

TEST_F(TempSlotsTest, EmptiesTreesDeeperThanAPathCanBe) {
  const TempSlots slots(root_, 1);
  ASSERT_TRUE(slots.Renew(0));
  const std::string name(200, 'd');
  UniqueFd directory(::open(slots.Path(0).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  constexpr int kDepth = 1000;
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(directory.Get(), name.c_str(), 0700), 0);
    directory = UniqueFd(::openat(directory.Get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(directory);
  }
  ASSERT_TRUE(slots.Renew(0));
  EXPECT_TRUE(fs::is_empty(slots.Path(0)));
}

TEST_F(TempSlotsTest, RefusesASymbolicLinkInItsPlace) {
  const TempSlots slots(root_, 1);
  fs::create_directory(root_ / "target");
  std::ofstream(root_ / "target" / "file") << "stays";
  fs::create_directory_symlink(root_ / "target", slots.Path(0));
  EXPECT_FALSE(slots.Renew(0));
  slots.RemoveAll();
  EXPECT_TRUE(fs::exists(root_ / "target" / "file"));
}

TEST_F(TempSlotsTest, FailsWithoutARoot) { EXPECT_FALSE(TempSlots(root_ / "missing", 1).RenewAll()); }

}  // namespace
}  // namespace lazaret::scanner
