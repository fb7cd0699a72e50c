#include "fleet/content_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "core/job_samples.h"

namespace lazaret::fleet {
namespace {

namespace fs = std::filesystem;

class ContentDirectoryTest : public testing::Test {
 protected:
  ContentDirectoryTest() {
    std::string name = "/tmp/lazaret-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = name;
    directory_ = *ContentDirectory::Open(path_ / "shared", pool_);
  }
  ~ContentDirectoryTest() override { fs::remove_all(path_); }
  fs::path PathOf(const SharedFile& file) const { return path_ / "shared" / file.Text().substr(0, 2) / file.Text(); }
  Result<ContentPtr> Load(const SharedFile& file, std::uint64_t size) {
    return directory_->Load(file, size, [this] { ++progress_; });
  }

  aio::BlockingPool pool_{1};
  fs::path path_;
  std::unique_ptr<ContentDirectory> directory_;
  SampleContent content_{SampleBytes(1, 3'000'000)};
  const SharedFile file_{content_.digest(), "00ff"};
  int progress_ = 0;
};

TEST_F(ContentDirectoryTest, GivesBackWhatWasStored) {
  ASSERT_TRUE(directory_->Store(file_, content_.Descriptor().value(), content_.size()));
  EXPECT_TRUE(fs::exists(PathOf(file_)));
  const auto loaded = Load(file_, content_.size());
  ASSERT_TRUE(loaded) << loaded.error().what;
  ExpectWhole(**loaded, SampleBytes(1, 3'000'000));
  directory_->Remove(file_);
  EXPECT_FALSE(fs::exists(PathOf(file_)));
  EXPECT_EQ(ReadAll((*loaded)->Descriptor().value()).size(), 3'000'000u) << "it stays readable";
  EXPECT_EQ(Load(file_, content_.size()).error().code, Errc::kCorrupt) << "it is gone";
  EXPECT_EQ(Load({SampleDigest(7), "0"}, 1).error().code, Errc::kUnavailable) << "perhaps the directory is not mounted";
}

TEST_F(ContentDirectoryTest, FindsDamage) {
  ASSERT_TRUE(directory_->Store(file_, content_.Descriptor().value(), content_.size()));
  EXPECT_EQ(Load(file_, content_.size() - 1).error().code, Errc::kCorrupt);
  std::fstream(PathOf(file_), std::ios::in | std::ios::out) << 'x';
  EXPECT_EQ(Load(file_, content_.size()).error().code, Errc::kCorrupt);
  fs::resize_file(PathOf(file_), 100);
  EXPECT_EQ(Load(file_, content_.size()).error().code, Errc::kCorrupt);
}

TEST_F(ContentDirectoryTest, LeavesNothingOfWhatItCouldNotStore) {
  EXPECT_FALSE(directory_->Store(file_, content_.Descriptor().value(), content_.size() + 1)) << "it is shorter";
  EXPECT_FALSE(fs::exists(PathOf(file_)));
  EXPECT_TRUE(fs::is_empty(PathOf(file_).parent_path()));
}

TEST_F(ContentDirectoryTest, FindsWhatIsOldAndOurs) {
  const SharedFile other{content_.digest(), "0001"};
  ASSERT_TRUE(directory_->Store(file_, content_.Descriptor().value(), content_.size()));
  ASSERT_TRUE(directory_->Store(other, content_.Descriptor().value(), content_.size()));
  const auto now = fs::file_time_type::clock::now();
  const fs::path unfinished = PathOf(file_).native() + ".tmp";
  const fs::path foreign = path_ / "shared" / "somebody's file";
  for (const fs::path& path : {unfinished, foreign}) std::ofstream(path) << "x";
  for (const fs::path& path : {unfinished, foreign, PathOf(file_)}) {
    fs::last_write_time(path, now - std::chrono::hours(25));
  }
  const auto old = directory_->FindOld(now - std::chrono::hours(24));
  ASSERT_TRUE(old);
  EXPECT_EQ(*old, std::vector<SharedFile>{file_});
  EXPECT_FALSE(fs::exists(unfinished));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(ContentDirectoryTest, SaysWhatIsWrongWithIt) {
  std::ofstream(path_ / "file") << "x";
  const auto opened = ContentDirectory::Open(path_ / "file" / "below", pool_);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().what.find("on every node"), std::string::npos);
}

}  // namespace
}  // namespace lazaret::fleet
