// What becomes of promises when the disk is full, the queue cannot be written or is damaged.
#include <sys/resource.h>

#include <boost/json/value.hpp>

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include <fmt/format.h>

#include "chaos/small_disk.h"
#include "integration/async_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kMiB = 1024 * 1024;

class AsyncStorage : public AsyncTest {
 protected:
  static std::string SampleOf(std::size_t size, unsigned number) {
    std::string text = PlainText(size, number);
    if (number % 2 == 0) text.replace(text.size() / 2, Eicar().size(), Eicar());
    return text;
  }
  static std::string VerdictDue(unsigned number) { return number % 2 == 0 ? "infected" : "clean"; }

  // Submits samples of this size until one is refused; their numbers are kept with their ids.
  void SubmitUntilRefused(std::size_t size, unsigned most = 10'000) {
    for (unsigned i = 0; i < most; ++i) {
      const unsigned number = next_++;
      const std::string content = SampleOf(size, number);
      const auto answer = Submit(port(), content);
      ASSERT_TRUE(answer) << answer.error().what;
      if (answer->status == 202) {
        promised_[IdOf(content)] = VerdictDue(number);
        continue;
      }
      ASSERT_EQ(answer->status, 503) << answer->body;
      EXPECT_TRUE(answer->Find("Retry-After"));
      refusals_.insert(TextOf(ParseJson(*answer), "detail"));
      return;
    }
    ADD_FAILURE() << "nothing was refused";
  }

  // Whatever the disk does, there is a scan, and no verdict but the right one.
  void ExpectNoFalseAnswers() const {
    for (const auto& [id, due] : promised_) {
      const auto answer = Poll(port(), id, 0);
      ASSERT_TRUE(answer);
      if (answer->status == 503) continue;
      ASSERT_EQ(answer->status, 200) << answer->body;
      const auto scan = ParseJson(*answer);
      if (TextOf(scan, "status") == "done") EXPECT_EQ(TextOf(scan, "verdict"), due);
    }
  }
  void ExpectAllPromisesKept() const {
    for (const auto& [id, due] : promised_) {
      const auto answer = Poll(port(), id);
      ASSERT_THAT(answer, IsInState("done"));
      EXPECT_EQ(TextOf(ParseJson(*answer), "verdict"), due) << answer->body;
    }
    EXPECT_TRUE(JobsBecome("queued", 0) && JobsBecome("scanning", 0));
    EXPECT_EQ(JobsInfo("dead_letters"), 0);
    EXPECT_THAT(ContentFiles(), ElementsAre());
  }
  void ExpectSyncScansWork(unsigned seed) const {
    EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(seed)), HasVerdict("infected"));
    EXPECT_THAT(Post(port(), "/v1/scan", PlainText(1000, seed)), HasVerdict("clean"));
  }

  // The server's files may grow to this many bytes; the rest is as a full disk would be.
  bool LimitFiles(rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    return ::prlimit(server().pid(), RLIMIT_FSIZE, &limit, nullptr) == 0;
  }

  std::map<std::string, std::string> promised_;  // scan id and the verdict that is due
  unsigned next_ = 1000;
  std::set<std::string> refusals_;
};

TEST_F(AsyncStorage, AFullDiskPromisesNothing) {
  SmallDisk disk(root_ / "data", 64 * kMiB);
  if (!disk.is_mounted()) GTEST_SKIP() << "needs the right to mount a tmpfs";
  disk.Take(40 * kMiB);
  LaunchWithoutEngine();
  SubmitUntilRefused(200'000);
  EXPECT_GT(promised_.size(), 20u);
  SubmitUntilRefused(10'000);
  disk.Fill();
  SubmitUntilRefused(100);
  for (const std::string& detail : refusals_) {
    std::cout << "refused: " << detail << "\n";
    EXPECT_THAT(detail, testing::AnyOf(HasSubstr("full"), HasSubstr("space")));
  }
  ExpectNoFalseAnswers();
  EXPECT_LE(ContentFiles().size(), promised_.size()) << "what was not promised left something behind";
  server().Kill();

  LaunchWithoutEngine();
  SubmitUntilRefused(10'000);
  ExpectNoFalseAnswers();
  server().Kill();

  disk.Relieve();
  LaunchWithoutEngine();
  ExpectNoFalseAnswers();
  GiveSignatures();
  ExpectAllPromisesKept();
  EXPECT_THAT(Submit(port(), SampleOf(200'000, 1)), IsQueued(IdOf(SampleOf(200'000, 1))));
}

TEST_F(AsyncStorage, ADiskThatIsFullWhileJobsFinishOnlyDelaysThem) {
  SmallDisk disk(root_ / "data", 64 * kMiB);
  if (!disk.is_mounted()) GTEST_SKIP() << "needs the right to mount a tmpfs";
  // Nothing is small, so that the first job keeps all others waiting.
  Start({"--scanners", "1", "--set", "queue.small_size=0"});
  ASSERT_TRUE(server().HaltScanners());
  ASSERT_THAT(Submit(port(), "harmless"), HasStatus(202));
  ASSERT_TRUE(StatusBecomes("harmless", "scanning"));
  promised_[IdOf("harmless")] = "clean";
  constexpr unsigned kJobs = 200;
  for (unsigned i = 0; i < kJobs; ++i) {
    const unsigned number = next_++;
    const std::string content = SampleOf(i % 2 == 0 ? 100'000 : 10'000, number);
    ASSERT_THAT(Submit(port(), content), HasStatus(202));
    promised_[IdOf(content)] = VerdictDue(number);
  }
  disk.Fill();
  server().LetScannersGoOn();
  EXPECT_TRUE(Eventually([&] {
    return server().Log().find("job queue does not work") != std::string::npos || JobsInfo("done") == kJobs + 1;
  }));
  std::cout << fmt::format("{} of {} jobs were done on the full disk\n", JobsInfo("done"), kJobs + 1);
  ExpectNoFalseAnswers();
  ExpectSyncScansWork(1);
  disk.Relieve();
  ExpectAllPromisesKept();
}

TEST_F(AsyncStorage, AQueueThatCannotBeWrittenPromisesNothing) {
  LaunchWithoutEngine();
  for (unsigned i = 0; i < 50; ++i) {
    const unsigned number = next_++;
    ASSERT_THAT(Submit(port(), SampleOf(60'000, number)), HasStatus(202));
    promised_[IdOf(SampleOf(60'000, number))] = VerdictDue(number);
  }
  ASSERT_TRUE(LimitFiles(kMiB / 2));
  SubmitUntilRefused(60'000);
  ExpectNoFalseAnswers();
  GiveSignatures();
  ExpectSyncScansWork(1);
  ExpectNoFalseAnswers();
  ASSERT_TRUE(LimitFiles(RLIM_INFINITY));
  ExpectAllPromisesKept();
  EXPECT_EQ(server().Terminate(), 0);
}

TEST_F(AsyncStorage, AQueueThatCouldNotBeOpenedIsOpenedWhenItCan) {
  // A file where its directory should be: as good as any other cause that passes.
  fs::create_directories(root_ / "data");
  root_.Write("data/queue", "in the way");
  Start();
  EXPECT_THAT(Submit(port(), SampleOf(1000, 1)), IsProblem(503, "not-ready"));
  ExpectSyncScansWork(2);
  fs::remove(root_ / "data/queue");
  ASSERT_TRUE(Eventually([&] { return testing::Value(Submit(port(), SampleOf(1000, 3)), HasStatus(202)); }));
  EXPECT_TRUE(StatusBecomes(SampleOf(1000, 3), "done")) << "the workers have begun, too";
}

TEST_F(AsyncStorage, ADamagedQueueIsSaidToBeDamaged) {
  LaunchWithoutEngine();
  for (unsigned i = 0; i < 50; ++i) {
    const unsigned number = next_++;
    ASSERT_THAT(Submit(port(), SampleOf(20'000, number)), HasStatus(202));
    promised_[IdOf(SampleOf(20'000, number))] = VerdictDue(number);
  }
  ASSERT_EQ(server().Terminate(), 0);
  const fs::path file = root_ / "data/queue.db";
  const fs::path good = root_ / "queue.db.good";
  fs::copy_file(file, good);
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  fs::rename(root_ / "signatures-kept", root_ / "signatures");

  struct Damage {
    const char* what;
    std::function<void()> make;
  };
  const auto overwrite = [&](std::streamoff from, std::streamoff bytes) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(from);
    stream << PlainText(static_cast<std::size_t>(bytes));
  };
  for (const Damage& damage : std::vector<Damage>{
           {"no database at all", [&] { overwrite(0, size); }},
           {"every page but the first", [&] { overwrite(4096, size - 4096); }},
           {"the first page behind its header", [&] { overwrite(100, 3000); }},
           {"cut in the middle", [&] { fs::resize_file(file, static_cast<std::uintmax_t>(size / 2)); }},
           {"a directory in its place", [&] { fs::remove(file), fs::create_directory(file); }},
       }) {
    SCOPED_TRACE(damage.what);
    fs::remove_all(file);
    fs::copy_file(good, file);
    damage.make();
    Start();
    EXPECT_TRUE(Eventually([&] { return server().Log().find("queue.db") != std::string::npos; }));
    ExpectSyncScansWork(next_++);
    ExpectNoFalseAnswers();
    SubmitUntilRefused(1000);
    EXPECT_TRUE(Eventually([&] {
      const auto info = ParseJson(*Get(port(), "/v1/info")).at("jobs").as_object();
      return !info.at("accepting").as_bool() && TextOf(info, "reason").find("queue.db") != std::string::npos;
    }));
    EXPECT_EQ(server().Terminate(), 0);
  }
  for (const std::string& detail : refusals_) EXPECT_THAT(detail, HasSubstr("queue.db"));

  // The operator puts the file back.
  fs::remove_all(file);
  fs::copy_file(good, file);
  Start();
  ExpectAllPromisesKept();
}

}  // namespace
}  // namespace lazaret::tests
