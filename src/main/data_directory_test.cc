#include "main/data_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

namespace lazaret {
namespace {

using testing::HasSubstr;

class DataDirectoryTest : public testing::Test {
 protected:
  ~DataDirectoryTest() override { std::filesystem::remove_all(root_); }
  std::filesystem::path root_ = std::filesystem::path(testing::TempDir()) / ("data" + std::to_string(::getpid()));
};

TEST_F(DataDirectoryTest, IsMadeAndOwnedByOneServer) {
  auto first = DataDirectory::Open(root_ / "a" / "b");
  ASSERT_TRUE(first) << first.error().what;
  const auto second = DataDirectory::Open(root_ / "a" / "b");
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("another server uses the data directory"));
  first = Fail(Errc::kNotFound, "");
  EXPECT_TRUE(DataDirectory::Open(root_ / "a" / "b"));
}

TEST_F(DataDirectoryTest, NamesADirectoryThatCannotBeMade) {
  std::filesystem::create_directories(root_);
  std::ofstream(root_ / "file") << "x";
  const auto directory = DataDirectory::Open(root_ / "file" / "data");
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().what, HasSubstr((root_ / "file" / "data").native()));
  EXPECT_THAT(directory.error().what, HasSubstr("--data"));
}

}  // namespace
}  // namespace lazaret
