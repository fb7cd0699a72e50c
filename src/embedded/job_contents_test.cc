#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <functional>
#include <thread>
#include <vector>

#include "embedded/job_queue_samples.h"

namespace lazaret::embedded {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr std::size_t kLarge = 100'000;  // more than lies in the database

TEST_F(SqliteJobQueueTest, AFileGoesWithItsJob) {
  Open();
  jobs_->Submit(SampleJob(1, 65536));
  EXPECT_THAT(Files(), IsEmpty()) << "small ones lie in the database";
  jobs_->Submit(SampleJob(2, 65537));
  EXPECT_THAT(Files(), ElementsAre(StartsWith(SampleJob(2, 65537)->digest().Hex() + ".")));
  jobs_->Submit(SampleJob(2, 65537));
  EXPECT_THAT(Files(), SizeIs(1));
  jobs_->Finish(jobs_->MustTake().lease);
  EXPECT_EQ(Query("SELECT count(*) FROM contents"), 0);
  LeasedJob job = jobs_->MustTake();
  jobs_->Finish(job.lease, JobState::kDead);
  EXPECT_THAT(Files(), SizeIs(1));
  const auto first = Files();
  jobs_->Submit(SampleJob(2, 65537));
  EXPECT_THAT(Files(), SizeIs(1));
  EXPECT_NE(Files(), first) << "another submit, another file";
  jobs_->Finish(jobs_->MustTake().lease);
  EXPECT_THAT(Files(), IsEmpty());
  ASSERT_TRUE(job.content);
  ExpectWhole(**job.content, SampleBytes(2, 65537));
  jobs_->Submit(SampleJob(3, kLarge));
  JobDriver::Expect(queue_->Drop(SampleJob(3, kLarge)->digest()));
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_EQ(Query("SELECT count(*) FROM contents"), 0);
}

TEST_F(SqliteJobQueueTest, FilesThatAreNotTakenDoNotStay) {
  settings_.policy.max_callbacks = 0;
  settings_.policy.max_jobs = 1;
  Open();
  EXPECT_EQ(jobs_->SubmitError(SampleJob(1, kLarge), Callback{"https://a.example", ""}), Errc::kOverloaded);
  EXPECT_THAT(Files(), IsEmpty());
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { Await(queue_->Submit(SampleJob(1, kLarge), std::nullopt)); });
  threads.emplace_back([&] { Await(queue_->Submit(SampleJob(2, kLarge), std::nullopt)); });
  threads.clear();
  EXPECT_THAT(Files(), SizeIs(1));
}

TEST_F(SqliteJobQueueTest, DeletesOnlyItsOwnFilesThatNoJobHas) {
  Open();
  jobs_->Submit(SampleJob(1, kLarge));
  const auto kept = Files();
  Close();
  const std::string hex = SampleJob(1, kLarge)->digest().Hex();
  const std::string strangers[] = {"README",
                                   hex,
                                   hex + ".txt",
                                   hex + ".00000000000000001",
                                   hex + ".000000000000000G",
                                   "." + hex + ".0000000000000001"};
  const std::string orphans[] = {hex + ".0000000000000001", SampleDigest(3).Hex() + ".ffffffffffffffff",
                                 SampleDigest(3).Hex() + kept[0].substr(64)};
  for (const auto& names :
       {std::vector(std::begin(strangers), std::end(strangers)), std::vector(std::begin(orphans), std::end(orphans))}) {
    for (const std::string& name : names) UniqueFd(::creat((settings_.directory / name).c_str(), 0600));
  }
  Open();
  std::vector<std::string> expected(std::begin(strangers), std::end(strangers));
  expected.push_back(kept[0]);
  EXPECT_THAT(Files(), testing::UnorderedElementsAreArray(expected));
  LeasedJob job = jobs_->MustTake();
  EXPECT_TRUE(job.content);
}

// A content in a file of this directory, as the spool has them, or with a name.
class FileSample final : public Content {
 public:
  FileSample(const std::string& directory, std::string bytes, bool with_name)
      : bytes_(std::move(bytes)), digest_(Sha256::Of(AsBytes(bytes_))) {
    const std::string name = directory + "/sample";
    const UniqueFd file(with_name ? ::open(name.c_str(), O_RDWR | O_CREAT, 0600)
                                  : ::open(directory.c_str(), O_RDWR | O_TMPFILE, 0600));
    if (!WriteAll(file.Get(), AsBytes(bytes_), "writing")) throw std::runtime_error("writing a sample");
    fd_ = UniqueFd(::open(("/proc/self/fd/" + std::to_string(file.Get())).c_str(), O_RDONLY));
  }
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return bytes_.size(); }
  Result<int> Descriptor() override { return fd_.Get(); }
  ino_t Inode() const {
    struct stat file{};
    EXPECT_EQ(::fstat(fd_.Get(), &file), 0);
    return file.st_ino;
  }

 private:
  const std::string bytes_;
  const Digest digest_;
  UniqueFd fd_;
};

ino_t InodeOf(const fs::path& path) {
  struct stat file{};
  EXPECT_EQ(::stat(path.c_str(), &file), 0);
  return file.st_ino;
}

TEST_F(SqliteJobQueueTest, AFileWithoutANameGetsOne) {
  Open();
  const auto content = std::make_shared<FileSample>(directory_.path(), SampleBytes(1, kLarge), false);
  jobs_->Submit(content);
  ASSERT_THAT(Files(), SizeIs(1));
  EXPECT_EQ(InodeOf(settings_.directory / Files()[0]), content->Inode()) << "it was copied";
  jobs_->Finish(jobs_->MustTake().lease);
  EXPECT_THAT(Files(), IsEmpty());
  // It had a name before and cannot get another one.
  EXPECT_EQ(jobs_->Submit(content), Submitted::kQueued);
  ASSERT_THAT(Files(), SizeIs(1));
  EXPECT_NE(InodeOf(settings_.directory / Files()[0]), content->Inode());
  LeasedJob job = jobs_->MustTake();
  ASSERT_TRUE(job.content);
  ExpectWhole(**job.content, SampleBytes(1, kLarge));
}

TEST_F(SqliteJobQueueTest, AFileWithANameIsCopied) {
  Open();
  const auto content = std::make_shared<FileSample>(directory_.path(), SampleBytes(1, kLarge), true);
  jobs_->Submit(content);
  ASSERT_THAT(Files(), SizeIs(1));
  EXPECT_NE(InodeOf(settings_.directory / Files()[0]), content->Inode()) << "others could change it through its name";
}

TEST_F(SqliteJobQueueTest, SmallContentsOfFilesAreReadIntoTheDatabase) {
  Open();
  jobs_->Submit(std::make_shared<FileSample>(directory_.path(), SampleBytes(1, 5000), false));
  EXPECT_THAT(Files(), IsEmpty());
  LeasedJob job = jobs_->MustTake();
  ASSERT_TRUE(job.content);
  ExpectWhole(**job.content, SampleBytes(1, 5000));
}

TEST_F(SqliteJobQueueTest, ADamagedContentIsCorruptAndNeverHandedOut) {
  const auto flip = [](const fs::path& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR));
    EXPECT_EQ(::pwrite(fd.Get(), "\xFF", 1, kLarge / 2), 1);
  };
  const std::vector<std::function<void(const fs::path&)>> damages = {
      flip,
      [](const fs::path& path) { EXPECT_EQ(::truncate(path.c_str(), kLarge - 1), 0); },
      [](const fs::path& path) { EXPECT_EQ(::truncate(path.c_str(), kLarge + 1), 0); },
      [](const fs::path& path) { EXPECT_EQ(::truncate(path.c_str(), 0), 0); },
      [](const fs::path& path) { fs::remove(path); },
      [](const fs::path& path) {
        fs::rename(path, path.parent_path() / "moved");
        fs::create_symlink("moved", path);
      },
      [](const fs::path& path) {
        fs::remove(path);
        fs::create_directory(path);
      },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    Open();
    jobs_->Submit(SampleJob(i, kLarge));
    const auto files = Files();
    damages[i](settings_.directory /
               *std::ranges::find_if(files, [](const std::string& name) { return name.size() == 64 + 1 + 16; }));
    const LeasedJob job = jobs_->MustTake();
    ASSERT_FALSE(job.content) << i;
    EXPECT_EQ(job.content.error().code, Errc::kCorrupt) << i;
    EXPECT_THAT(job.content.error().what, HasSubstr(SampleJob(i, kLarge)->digest().Hex())) << i;
    jobs_->Finish(job.lease, JobState::kDead);
    EXPECT_EQ(jobs_->MustFind(job.lease.id).state, JobState::kDead);
    JobDriver::Expect(queue_->Drop(job.lease.id));
    Close();
    fs::remove_all(settings_.directory);
  }
}

TEST_F(SqliteJobQueueTest, ADamagedRowOfContentIsCorrupt) {
  for (const std::string damage :
       {"UPDATE contents SET bytes = CAST('x' || substr(bytes, 2) AS BLOB)",
        "UPDATE contents SET bytes = CAST(bytes || 'x' AS BLOB)", "UPDATE contents SET bytes = x''",
        "DELETE FROM contents", "UPDATE jobs SET content = 0", "UPDATE jobs SET size = size + 1 WHERE state = 1",
        "UPDATE jobs SET content = 2"}) {
    Open();
    const Digest id = SampleJob(1)->digest();
    jobs_->Submit(SampleJob(1));
    Run(damage);
    const LeasedJob job = jobs_->MustTake();
    ASSERT_FALSE(job.content) << damage;
    EXPECT_EQ(job.content.error().code, Errc::kCorrupt) << damage;
    jobs_->Finish(job.lease, JobState::kDead);
    JobDriver::Expect(queue_->Drop(id));
    EXPECT_TRUE(queue_->CheckRoom(1)) << "one content is not the queue";
  }
}

}  // namespace
}  // namespace lazaret::embedded
