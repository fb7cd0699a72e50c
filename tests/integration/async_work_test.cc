// What happens to jobs once they are promised: their order, their failures, the server's end, their expiry.
#include <signal.h>

#include <boost/json/value.hpp>

#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "integration/async_fixture.h"

namespace lazaret::tests {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr const char* kLost = "lazaret_jobs_total{event=\"lost\"}";
constexpr const char* kRetried = "lazaret_jobs_total{event=\"retried\"}";
constexpr const char* kDone = "lazaret_jobs_total{event=\"done\"}";
constexpr const char* kDead = "lazaret_jobs_total{event=\"dead\"}";

class AsyncWork : public AsyncTest {
 protected:
  bool IsDeadLetter(std::string_view content) const {
    const auto answer = Poll(port(), IdOf(content), 0);
    return answer && answer->status == 200 && ParseJson(*answer).contains("dead_letter");
  }
};

// One that the other scanner's lane does not take for short (queue.small_size).
std::string LargeHook(std::string_view what) { return Hook(what) + PlainText(100'000); }
const std::vector<std::string> kSmallIs64KiB = {"--set", "queue.small_size=64KiB"};

TEST_F(AsyncWork, WaitsForAnEngine) {
  LaunchWithoutEngine();
  for (unsigned i = 0; i < 20; ++i) EXPECT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  EXPECT_THAT(Post(port(), "/v1/scan", "harmless"), IsProblem(503, "not-ready"));
  EXPECT_EQ(JobsInfo("queued"), 20);
  EXPECT_EQ(JobsInfo("done"), 0);
  GiveSignatures();
  for (unsigned i = 0; i < 20; ++i) EXPECT_EQ(VerdictOf(EicarWithPrefix(i)), "infected");
}

TEST_F(AsyncWork, TellsDepthAndAge) {
  LaunchWithoutEngine();
  EXPECT_EQ(JobsInfo("oldest_age_s"), 0);
  EXPECT_EQ(Metric("lazaret_job_oldest_age_seconds"), 0);
  ASSERT_THAT(Submit(port(), PlainText(1000, 1)), HasStatus(202));
  ASSERT_THAT(Submit(port(), PlainText(100'000, 2)), HasStatus(202));
  EXPECT_TRUE(Eventually([&] { return JobsInfo("oldest_age_s") > 0.2; }));
  EXPECT_GT(Metric("lazaret_job_oldest_age_seconds"), 0.2);
  EXPECT_EQ(JobsInfo("queued"), 2);
  EXPECT_EQ(JobsInfo("bytes"), 101'000);
  EXPECT_EQ(Metric("lazaret_job_bytes"), 101'000);
  EXPECT_EQ(Metric("lazaret_jobs{state=\"queued\"}"), 2);
  EXPECT_THAT(ContentFiles(), SizeIs(1)) << "the small one lies in the database";
  const auto info = ParseJson(*Get(port(), "/v1/info")).at("jobs").as_object();
  EXPECT_TRUE(info.at("accepting").as_bool());
  GiveSignatures();
  EXPECT_TRUE(JobsBecome("done", 2));
  EXPECT_EQ(JobsInfo("oldest_age_s"), 0);
  EXPECT_EQ(Metric("lazaret_jobs_total{event=\"done\"}"), 2);
  EXPECT_EQ(Metric("lazaret_http_requests_total{route=\"/v1/scans\",status=\"202\"}"), 2);
}

TEST_F(AsyncWork, GivesJobsBackWhenTheServerEnds) {
  LaunchWithoutEngine(WithHooks({"--scanners", "1", "--set", "drain_timeout=100ms"}));
  const std::string endless = Hook("hang");
  ASSERT_THAT(Submit(port(), endless), HasStatus(202));
  for (unsigned i = 0; i < 10; ++i) ASSERT_THAT(Submit(port(), LargeHook(fmt::format("none {}", i))), HasStatus(202));
  GiveSignatures();
  ASSERT_TRUE(StatusBecomes(endless, "scanning"));
  EXPECT_EQ(server().Terminate(), 0);

  // To a scanner without hooks they are texts.
  Start();
  EXPECT_EQ(VerdictOf(endless), "clean");
  for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(VerdictOf(LargeHook(fmt::format("none {}", i))), "clean");
  EXPECT_TRUE(JobsBecome("done", 11));
  EXPECT_EQ(Metric(kLost), 0) << "they were given back, not lost";
  EXPECT_THAT(ContentFiles(), ElementsAre());
}

TEST_F(AsyncWork, FinishesWhatIsBeingScannedWhenThereIsTime) {
  Start({"--scanners", "1"});
  ASSERT_TRUE(server().HaltScanners());
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  ASSERT_TRUE(StatusBecomes(Eicar(), "scanning"));
  server().Signal(SIGTERM);
  ASSERT_TRUE(server().WaitForLog("\"ending\""));
  server().LetScannersGoOn();
  EXPECT_EQ(server().WaitForEnd(), 0);
  LaunchWithoutEngine();
  EXPECT_THAT(Poll(port(), IdOf(Eicar()), 0), IsInState("done"));
}

TEST_F(AsyncWork, TakesUpWhatAKilledServerLeft) {
  LaunchWithoutEngine(WithHooks({"--scanners", "1", "--set", "jobs.lease=1h"}));
  const std::string endless = Hook("hang");
  ASSERT_THAT(Submit(port(), endless), HasStatus(202));
  const std::string large = PlainText(2'000'000);
  ASSERT_THAT(Submit(port(), large), HasStatus(202));
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  GiveSignatures();
  ASSERT_TRUE(StatusBecomes(endless, "scanning"));
  // What is counted is on the disk, and the oldest job is the first to be leased. Another worker may have a second one.
  ASSERT_TRUE(Eventually([&] { return JobsInfo("scanning") >= 1; }));
  server().Kill();

  // To a scanner without hooks it is a text.
  Start({"--set", "jobs.lease=1h"});
  EXPECT_EQ(VerdictOf(endless), "clean");
  EXPECT_EQ(VerdictOf(large), "clean");
  EXPECT_EQ(VerdictOf(Eicar()), "infected");
  EXPECT_GE(Metric(kLost), 1);
  EXPECT_EQ(Metric(kDead), 0);
  EXPECT_TRUE(JobsBecome("done", 3));
  EXPECT_THAT(ContentFiles(), ElementsAre());
}

TEST_F(AsyncWork, LetsThoseWhoWaitGoFirst) {
  Start({"--scanners", "1"});
  ASSERT_TRUE(server().HaltScanners());
  constexpr unsigned kJobs = 60;
  for (unsigned i = 0; i < kJobs; ++i) ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  ASSERT_TRUE(JobsBecome("scanning", 2)) << "one for each worker";
  HttpConnection waits(port());
  ASSERT_TRUE(waits.Send(MakeRequest("POST", "/v1/scan", {}, Eicar())));
  EXPECT_TRUE(StatusBecomes(Eicar(), "scanning")) << "it waits for them";
  EXPECT_EQ(JobsInfo("queued") + JobsInfo("scanning"), kJobs);
  server().LetScannersGoOn();
  EXPECT_THAT(waits.Receive(), HasVerdict("infected"));
  EXPECT_TRUE(JobsBecome("done", kJobs));
}

TEST_F(AsyncWork, GoesOnUnderALoadThatNeverEnds) {
  StartWithHooks({"--scanners", "1"});
  std::atomic<bool> over = false;
  std::atomic<unsigned> scans = 0;
  std::vector<std::jthread> clients;
  for (unsigned client = 0; client < 6; ++client) {
    clients.emplace_back([&, client] {
      for (unsigned i = 0; !over; ++i) {
        const auto answer = Post(port(), "/v1/scan", Hook("slow 20", client * 100'000 + i));
        EXPECT_THAT(answer, HasVerdict("clean"));
        ++scans;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return scans > 10; }));
  for (unsigned i = 0; i < 5; ++i) ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  EXPECT_TRUE(JobsBecome("done", 5));
  over = true;
}

TEST_F(AsyncWork, SmallJobsDoNotWaitForLargeOnes) {
  LaunchWithoutEngine(
      WithHooks({"--scanners", "1", kSmallIs64KiB[0], kSmallIs64KiB[1], "--set", "drain_timeout=100ms"}));
  // More of them than there are workers of any kind, and all of them older.
  for (unsigned i = 0; i < 5; ++i) ASSERT_THAT(Submit(port(), LargeHook("hang") + std::to_string(i)), HasStatus(202));
  for (unsigned i = 0; i < 5; ++i) ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  GiveSignatures();
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(VerdictOf(EicarWithPrefix(i)), "infected");
  EXPECT_TRUE(JobsBecome("done", 5));
}

TEST_F(AsyncWork, AContentThatCrashesScannersIsADeadLetter) {
  LaunchWithoutEngine(WithHooks({"--scanners", "1"}));
  ASSERT_THAT(Submit(port(), Hook("crash")), HasStatus(202));
  for (unsigned i = 0; i < 20; ++i) ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  GiveSignatures();
  for (unsigned i = 0; i < 20; ++i) EXPECT_EQ(VerdictOf(EicarWithPrefix(i)), "infected");
  EXPECT_EQ(VerdictOf(Hook("crash")), "unscannable: engine-crashed");
  EXPECT_TRUE(IsDeadLetter(Hook("crash")));
  EXPECT_FALSE(IsDeadLetter(EicarWithPrefix(1)));
  EXPECT_TRUE(MetricBecomes("lazaret_scanners_ended_total{cause=\"crashed\"}", 3));
  EXPECT_EQ(Metric(kDead), 1);
  EXPECT_EQ(Metric(kRetried), 0);
  EXPECT_EQ(JobsInfo("dead_letters"), 1);
  EXPECT_TRUE(JobsBecome("queued", 0) && JobsBecome("scanning", 0));
  EXPECT_TRUE(server().WaitForLog("dead letter"));

  // It outlives the server, and whoever submits the content again begins anew.
  EXPECT_EQ(server().Terminate(), 0);
  StartWithHooks();
  EXPECT_TRUE(IsDeadLetter(Hook("crash")));
  EXPECT_THAT(Submit(port(), Hook("crash")), HasStatus(202));
  EXPECT_EQ(VerdictOf(Hook("crash")), "unscannable: engine-crashed");
  EXPECT_TRUE(IsDeadLetter(Hook("crash")));
  EXPECT_EQ(JobsInfo("dead_letters"), 1);
}

TEST_F(AsyncWork, ATimeOutIsTriedAsOftenAsItMay) {
  for (const int attempts : {1, 3}) {
    StartWithHooks({"--scanners", "1", "--data", (root_ / fmt::format("data-{}", attempts)).native(), "--set",
                    "engine.deadline=1s", "--set", fmt::format("jobs.attempts={}", attempts), "--set",
                    "jobs.retry_pause=50ms"});
    ASSERT_THAT(Submit(port(), Hook("hang")), HasStatus(202));
    EXPECT_EQ(VerdictOf(Hook("hang")), "unscannable: timeout");
    EXPECT_TRUE(IsDeadLetter(Hook("hang")));
    EXPECT_TRUE(MetricBecomes("lazaret_scanners_ended_total{cause=\"deadline\"}", attempts));
    EXPECT_EQ(Metric(kRetried), attempts - 1);
    EXPECT_EQ(Metric(kDead), 1);
    EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  }
}

TEST_F(AsyncWork, OthersGoOnWhileOneWaitsToBeTriedAgain) {
  StartWithHooks({"--scanners", "1", "--set", "engine.deadline=1s", "--set", "jobs.retry_pause=1h"});
  ASSERT_THAT(Submit(port(), Hook("hang")), HasStatus(202));
  ASSERT_TRUE(MetricBecomes(kRetried, 1));
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  EXPECT_EQ(VerdictOf(Eicar()), "infected");
  EXPECT_THAT(Poll(port(), IdOf(Hook("hang")), 0), IsInState("queued"));
  EXPECT_EQ(JobsInfo("queued"), 1);
}

TEST_F(AsyncWork, ForgetsWhatIsDoneInTime) {
  Start({"--set", "jobs.keep_done=1s", "--set", "jobs.keep_dead=1h", "--set", "cache.max_age=1s"});
  for (unsigned i = 0; i < 5; ++i) ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  // Whoever asks a job late does not find it.
  EXPECT_TRUE(MetricBecomes(kDone, 5));
  EXPECT_TRUE(JobsBecome("done", 0));
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_TRUE(Eventually([&] { return Poll(port(), IdOf(EicarWithPrefix(i)), 0)->status == 404; }));
  }
  ASSERT_THAT(Submit(port(), EicarWithPrefix(1)), HasStatus(202));
  EXPECT_TRUE(MetricBecomes(kDone, 6));
}

TEST_F(AsyncWork, KeepsOnlySoMuchOfWhatIsDone) {
  Start({"--set", "jobs.max_done=5"});
  for (unsigned i = 0; i < 5; ++i) {
    ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
    EXPECT_EQ(VerdictOf(EicarWithPrefix(i)), "infected");
  }
  EXPECT_TRUE(JobsBecome("done", 5));
  ASSERT_THAT(Submit(port(), EicarWithPrefix(5)), HasStatus(202));
  EXPECT_EQ(VerdictOf(EicarWithPrefix(5)), "infected");
  EXPECT_TRUE(Eventually([&] { return JobsInfo("queued") + JobsInfo("scanning") == 0 && JobsInfo("done") == 5; }));
}

}  // namespace
}  // namespace lazaret::tests
