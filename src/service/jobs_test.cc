#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <future>
#include <optional>

#include "service/fake_job_queue.h"
#include "service/job_service.h"
#include "service/test_doubles.h"
#include "service/workers.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A job service with its workers, all on one thread that the test turns.
class JobsTest : public testing::Test {
 protected:
  ~JobsTest() override {
    if (!workers_) return;
    engine_.released = true;
    queue_.write_failure.reset();
    RunToEnd(workers_->Drain(std::chrono::steady_clock::now()));
    RunToEnd(scans().Drain(std::chrono::steady_clock::now()));
  }

  ScanService& scans() {
    if (!scans_) {
      scans_.emplace(ScanServiceSettings{}, engine_, cache_, board_, io_.get_executor(), clock_, log_, telemetry_);
    }
    return *scans_;
  }
  JobService& jobs() {
    if (!jobs_) jobs_.emplace(scans(), queue_, queue_, board_, clock_, telemetry_);
    return *jobs_;
  }
  void StartWorkers() {
    workers_.emplace(settings_, queue_, scans(), engine_, board_, io_.get_executor(), clock_, log_, telemetry_);
    workers_->Start();
  }

  void Turn() {
    io_.restart();
    io_.run_for(milliseconds(10));
  }
  template <class T>
  T Await(std::future<T>& future) {
    while (future.wait_for(seconds(0)) != std::future_status::ready) Turn();
    return future.get();
  }
  template <class T>
  std::future<T> Start(aio::Task<T> task) {
    return asio::co_spawn(io_, std::move(task), asio::use_future);
  }
  template <class T>
  T RunToEnd(aio::Task<T> task) {
    auto future = Start(std::move(task));
    return Await(future);
  }
  // False when it does not become so in many turns.
  bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) Turn();
    return condition();
  }

  static ContentPtr Text(const std::string& text) { return std::make_shared<TextContent>(text); }
  Result<Submission> Submit(const std::string& text, std::optional<Callback> callback = std::nullopt) {
    return RunToEnd(jobs().Submit(Text(text), std::move(callback)));
  }
  ScanState StateOf(const std::string& text) { return RunToEnd(jobs().Find(DigestOf(text))).value(); }
  const Job& JobOf(const std::string& text) { return queue_.entries.at(DigestOf(text)).job; }
  bool Ends(const std::string& text, JobState state) {
    return Becomes([&] { return JobOf(text).state == state; });
  }

  asio::io_context io_;
  SystemClock clock_;
  Log log_{LogFormat::kText, static_cast<LogLevel>(4)};  // what is expected here need not be read
  Telemetry telemetry_;
  HeldEngine engine_;
  MapCache cache_;
  DoneBoard board_;
  FakeJobQueue queue_;
  WorkerSettings settings_{.retry_pause = milliseconds(100)};
  std::optional<ScanService> scans_;
  std::optional<JobService> jobs_;
  std::optional<Workers> workers_;
};

TEST_F(JobsTest, ASubmitIsQueuedThenScannedThenDone) {
  const auto submitted = Submit("a");
  ASSERT_TRUE(submitted) << submitted.error().what;
  EXPECT_TRUE(submitted->is_queued);
  EXPECT_EQ(submitted->state.status, ScanStatus::kQueued);
  EXPECT_EQ(StateOf("a").status, ScanStatus::kQueued);
  EXPECT_EQ(StateOf("a").size, 1u);

  engine_.released = false;
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  EXPECT_EQ(StateOf("a").status, ScanStatus::kScanning);
  engine_.released = true;
  ASSERT_TRUE(Ends("a", JobState::kDone));
  const ScanState done = StateOf("a");
  ASSERT_EQ(done.status, ScanStatus::kDone);
  EXPECT_EQ(done.answer->verdict->kind(), VerdictKind::kClean);
  EXPECT_FALSE(done.dead_letter);
  EXPECT_EQ(queue_.entries.at(DigestOf("a")).content, nullptr) << "the content is not needed any more";
}

TEST_F(JobsTest, WhatIsKnownIsAnsweredAndCalledBackWithoutAJob) {
  StartWorkers();
  ASSERT_TRUE(Submit("a"));
  ASSERT_TRUE(Ends("a", JobState::kDone));
  const auto again = Submit("a", Callback{"https://a.example/", "name"});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->is_queued);
  EXPECT_EQ(again->state.status, ScanStatus::kDone);
  ASSERT_THAT(queue_.added, SizeIs(1));
  EXPECT_EQ(queue_.added[0].callback.name, "name");
  EXPECT_THAT(engine_.started, SizeIs(1));
}

TEST_F(JobsTest, AFinishedJobAnswersWhenTheCacheHasForgotten) {
  StartWorkers();
  ASSERT_TRUE(Submit("a"));
  ASSERT_TRUE(Ends("a", JobState::kDone));
  cache_.entries.clear();
  EXPECT_EQ(StateOf("a").status, ScanStatus::kDone);
  engine_.info = MakeEngineInfo("set 2");
  EXPECT_FALSE(StateOf("a").answer->fresh);
  const auto again = Submit("a");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->is_queued) << "a stale verdict is no answer to a submit";
}

TEST_F(JobsTest, AttachesToTheJobThatExists) {
  ASSERT_TRUE(Submit("a"));
  const auto second = Submit("a");
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->is_queued);
  EXPECT_THAT(queue_.order, SizeIs(1));
}

TEST_F(JobsTest, ASubmitIsRefusedWhenTheQueueFails) {
  queue_.failure = Error{Errc::kOverloaded, "the disk is full"};
  EXPECT_EQ(jobs().CheckAdmission(1).error().code, Errc::kOverloaded);
  const auto submitted = Submit("a");
  ASSERT_FALSE(submitted);
  EXPECT_EQ(submitted.error().what, "the disk is full");
  const auto found = RunToEnd(jobs().Find(DigestOf("a")));
  EXPECT_FALSE(found) << "it cannot be known whether there is such a job";
}

TEST_F(JobsTest, LooksIntoTheCacheBeforeItScans) {
  ASSERT_TRUE(Submit("a"));
  ASSERT_TRUE(RunToEnd(scans().Scan(Text("a"), clock_.SteadyNow() + seconds(10))));
  StartWorkers();
  ASSERT_TRUE(Ends("a", JobState::kDone));
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("a")));
}

TEST_F(JobsTest, APassingFailureIsTriedAgainAndThenADeadLetter) {
  engine_.reason = Reason::kTimeout;
  ASSERT_TRUE(Submit("a"));
  ASSERT_TRUE(Submit("b"));
  StartWorkers();
  ASSERT_TRUE(Ends("a", JobState::kDead));
  EXPECT_EQ(JobOf("a").attempts, 3u);
  EXPECT_EQ(queue_.entries.at(DigestOf("a")).pause, milliseconds(200)) << "doubled for the second";
  EXPECT_EQ(JobOf("a").verdict->reason(), Reason::kTimeout);
  EXPECT_NE(queue_.entries.at(DigestOf("a")).content, nullptr) << "an operator may try again";
  const ScanState state = StateOf("a");
  EXPECT_TRUE(state.dead_letter);
  EXPECT_EQ(state.answer->verdict->kind(), VerdictKind::kUnscannable);
  EXPECT_TRUE(Ends("b", JobState::kDead)) << "what stands behind it goes on";
}

TEST_F(JobsTest, APassingVerdictInTheCacheIsNoAnswerToASubmit) {
  engine_.reason = Reason::kTimeout;
  ASSERT_TRUE(RunToEnd(scans().Scan(Text("a"), clock_.SteadyNow() + seconds(10))));
  const auto submitted = Submit("a");
  ASSERT_TRUE(submitted);
  EXPECT_TRUE(submitted->is_queued);
  EXPECT_EQ(StateOf("a").status, ScanStatus::kQueued) << "it is tried again, whatever the cache says";
  EXPECT_FALSE(scans().FindNow(DigestOf("a"))) << "nor to who asks for it";
  engine_.reason = Reason::kNone;
  StartWorkers();
  ASSERT_TRUE(Ends("a", JobState::kDone));
  EXPECT_EQ(StateOf("a").answer->verdict->kind(), VerdictKind::kClean);
}

TEST_F(JobsTest, AContentThatCrashesTheEngineIsADeadLetterAtOnce) {
  engine_.reason = Reason::kEngineCrashed;  // the engine has tried often enough then
  ASSERT_TRUE(Submit("a"));
  StartWorkers();
  ASSERT_TRUE(Ends("a", JobState::kDead));
  EXPECT_THAT(engine_.started, SizeIs(1));
}

TEST_F(JobsTest, ADamagedContentIsADeadLetterAndItsVerdictIsNotRemembered) {
  ASSERT_TRUE(Submit("a"));
  queue_.damaged.insert(DigestOf("a"));
  StartWorkers();
  ASSERT_TRUE(Ends("a", JobState::kDead));
  EXPECT_EQ(JobOf("a").verdict->reason(), Reason::kContentLost);
  EXPECT_THAT(engine_.started, IsEmpty());
  EXPECT_THAT(cache_.entries, IsEmpty()) << "the next one to come may be whole";
}

TEST_F(JobsTest, AJobWhoseHolderVanishesTooOftenIsADeadLetter) {
  ASSERT_TRUE(Submit("a"));
  ASSERT_TRUE(Submit("b"));
  queue_.entries.at(DigestOf("a")).job.lost = settings_.max_lost;
  queue_.entries.at(DigestOf("b")).job.lost = settings_.max_lost - 1;
  StartWorkers();
  EXPECT_TRUE(Ends("a", JobState::kDead));
  EXPECT_TRUE(Ends("b", JobState::kDone));
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("b")));
}

TEST_F(JobsTest, AnEngineThatFailsIsTriedAgainLonger) {
  engine_.failure = Error{Errc::kUnavailable, "gone"};
  settings_.max_lost = 4;
  ASSERT_TRUE(Submit("a"));
  StartWorkers();
  ASSERT_TRUE(Ends("a", JobState::kDead));
  EXPECT_THAT(engine_.started, SizeIs(4));
  EXPECT_EQ(JobOf("a").verdict->reason(), Reason::kEngineError);
}

TEST_F(JobsTest, WaitsForAnEngine) {
  const EngineInfoPtr info = std::exchange(engine_.info, nullptr);
  ASSERT_TRUE(Submit("a")) << "a job can wait for its engine";
  StartWorkers();
  for (int i = 0; i < 5; ++i) Turn();
  EXPECT_EQ(JobOf("a").state, JobState::kQueued);
  engine_.info = info;
  EXPECT_TRUE(Ends("a", JobState::kDone));
}

TEST_F(JobsTest, AnEndThatCannotBeWrittenIsWrittenLater) {
  ASSERT_TRUE(Submit("a"));
  queue_.write_failure = Error{Errc::kOverloaded, "the disk is full"};
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return !cache_.entries.empty(); }));
  for (int i = 0; i < 3; ++i) Turn();
  EXPECT_EQ(JobOf("a").state, JobState::kLeased);
  EXPECT_EQ(StateOf("a").status, ScanStatus::kDone) << "the verdict is known all the same";
  queue_.write_failure.reset();
  EXPECT_TRUE(Ends("a", JobState::kDone));
}

TEST_F(JobsTest, RenewsTheLeaseAndStopsWhenItIsLost) {
  settings_.lease = milliseconds(60);
  engine_.released = false;
  ASSERT_TRUE(Submit("a"));
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return queue_.renewals >= 3; }));
  EXPECT_EQ(engine_.running, 1);
  queue_.LoseLease(DigestOf("a"));
  EXPECT_TRUE(Becomes([&] { return engine_.running == 0; })) << "the scan is somebody else's now";
  EXPECT_EQ(JobOf("a").state, JobState::kLeased);
}

TEST_F(JobsTest, AnEndingServerGivesJobsBackUncounted) {
  engine_.released = false;
  ASSERT_TRUE(Submit("a"));
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  RunToEnd(workers_->Drain(clock_.SteadyNow()));
  EXPECT_EQ(queue_.releases, 1);
  EXPECT_EQ(JobOf("a").state, JobState::kQueued);
  EXPECT_EQ(JobOf("a").attempts, 0u);
  EXPECT_TRUE(Becomes([&] { return engine_.running == 0; }));
}

TEST_F(JobsTest, DrainLetsRunningScansEndAndBeginsNoOther) {
  engine_.released = false;
  ASSERT_TRUE(Submit("a"));
  ASSERT_TRUE(Submit("b"));
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  auto drained = Start(workers_->Drain(clock_.SteadyNow() + seconds(60)));
  Turn();
  engine_.released = true;
  Await(drained);
  EXPECT_EQ(JobOf("a").state, JobState::kDone);
  EXPECT_EQ(JobOf("b").state, JobState::kQueued);
}

TEST_F(JobsTest, LongPollsAreAnsweredByTheVerdict) {
  engine_.released = false;
  ASSERT_TRUE(Submit("a"));
  std::vector<std::future<Result<ScanState>>> polls;
  for (int i = 0; i < 100; ++i) polls.push_back(Start(jobs().Await(DigestOf("a"), clock_.SteadyNow() + seconds(60))));
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1 && jobs().pollers() == 100; }));
  engine_.released = true;
  for (auto& poll : polls) {
    const auto state = Await(poll);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->status, ScanStatus::kDone);
  }
  EXPECT_EQ(jobs().pollers(), 0u);
}

TEST_F(JobsTest, ALongPollEndsAtItsTimeWithWhatIsKnown) {
  ASSERT_TRUE(Submit("a"));
  auto poll = Start(jobs().Await(DigestOf("a"), clock_.SteadyNow() + milliseconds(30)));
  EXPECT_EQ(Await(poll)->status, ScanStatus::kQueued);
  EXPECT_EQ(RunToEnd(jobs().Await(DigestOf("new"), clock_.SteadyNow() + seconds(60)))->status, ScanStatus::kUnknown)
      << "there is nothing to wait for";
}

TEST_F(JobsTest, ALongPollOutlastsAFailureThatIsTriedAgain) {
  engine_.reason = Reason::kTimeout;
  engine_.failing_scans = 1;
  engine_.released = false;
  ASSERT_TRUE(Submit("a"));
  auto poll = Start(jobs().Await(DigestOf("a"), clock_.SteadyNow() + seconds(60)));
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  engine_.released = true;
  const auto state = Await(poll);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->answer->verdict->kind(), VerdictKind::kClean);
}

TEST_F(JobsTest, ALongPollHearsOfADeadLetter) {
  engine_.reason = Reason::kEngineCrashed;
  ASSERT_TRUE(Submit("a"));
  auto poll = Start(jobs().Await(DigestOf("a"), clock_.SteadyNow() + seconds(60)));
  Turn();
  StartWorkers();
  const auto state = Await(poll);
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->dead_letter);
}

TEST_F(JobsTest, AClosedBoardEndsLongPolls) {
  ASSERT_TRUE(Submit("a"));
  auto poll = Start(jobs().Await(DigestOf("a"), clock_.SteadyNow() + seconds(60)));
  ASSERT_TRUE(Becomes([&] { return jobs().pollers() == 1; }));
  board_.Close();
  EXPECT_EQ(Await(poll)->status, ScanStatus::kQueued);
  EXPECT_EQ(RunToEnd(jobs().Await(DigestOf("a"), clock_.SteadyNow() + seconds(60)))->status, ScanStatus::kQueued);
}

TEST_F(JobsTest, SomebodyWhoWaitsMakesAQueuedScanUrgent) {
  engine_.released = false;
  ASSERT_TRUE(Submit("running"));
  settings_.any_size = 2;
  StartWorkers();
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  ASSERT_TRUE(Submit("queued"));
  ASSERT_TRUE(Becomes([&] { return JobOf("queued").state == JobState::kLeased; }));
  auto urgent = Start(scans().Scan(Text("urgent"), clock_.SteadyNow() + seconds(60)));
  auto same = Start(scans().Scan(Text("queued"), clock_.SteadyNow() + seconds(60)));
  Turn();
  EXPECT_EQ(scans().Status().waiting, 2u) << "the queued scan is one of them now";
  engine_.released = true;
  ASSERT_TRUE(Await(urgent));
  ASSERT_TRUE(Await(same));
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("running"), DigestOf("queued"), DigestOf("urgent")));
}

}  // namespace
}  // namespace lazaret
