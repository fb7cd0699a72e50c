#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "core/override_board.h"
#include "service/fake_job_queue.h"
#include "service/job_service.h"
#include "service/test_doubles.h"
#include "service/workers.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;
using testing::IsEmpty;

class CountingTelemetry final : public Telemetry {
 public:
  void OnOverridden(VerdictKind kind) override { overridden.push_back(kind); }
  void OnVerdict(VerdictKind kind, Reason, bool) override { verdicts.push_back(kind); }
  std::vector<VerdictKind> overridden;
  std::vector<VerdictKind> verdicts;
};

// A scan service and a job service over the same overrides, all on one thread that the test turns.
class OverriddenTest : public testing::Test {
 protected:
  ~OverriddenTest() override {
    engine_.released = true;
    if (workers_) Run(workers_->Drain(std::chrono::steady_clock::now()));
    Run(scans_.Drain(std::chrono::steady_clock::now()));
  }

  void Turn() {
    io_.restart();
    io_.run_for(milliseconds(10));
  }
  template <class T>
  std::future<T> Start(aio::Task<T> task) {
    return asio::co_spawn(io_, std::move(task), asio::use_future);
  }
  template <class T>
  T Await(std::future<T>& future) {
    while (future.wait_for(seconds(0)) != std::future_status::ready) Turn();
    return future.get();
  }
  template <class T>
  T Run(aio::Task<T> task) {
    auto future = Start(std::move(task));
    return Await(future);
  }
  bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) Turn();
    return condition();
  }
  void StartWorkers() {
    workers_.emplace(WorkerSettings{}, queue_, scans_, engine_, board_, io_.get_executor(), clock_, log_, telemetry_);
    workers_->Start();
  }
  bool Ends(const std::string& text) {
    return Becomes([&] { return queue_.entries.at(DigestOf(text)).job.IsFinished(); });
  }

  static ContentPtr Text(const std::string& text) { return std::make_shared<TextContent>(text); }
  void Say(const std::string& text, VerdictKind kind) {
    overrides_.Put({.id = DigestOf(text),
                    .kind = kind,
                    .signature = kind == VerdictKind::kInfected ? "By.Hand" : "",
                    .reason = "why",
                    .by = "alice",
                    .since = clock_.Now(),
                    .until = {}});
  }
  // As a front door does it.
  aio::Task<Result<Answer>> LookUpOrScan(ContentPtr content) {
    if (auto known = co_await scans_.FindKnown(content)) co_return *std::move(known);
    co_return co_await scans_.Scan(content, std::chrono::steady_clock::now() + std::chrono::minutes(1));
  }
  Answer Scan(const std::string& text) { return Run(LookUpOrScan(Text(text))).value(); }
  ScanState StateOf(const std::string& text) { return Run(jobs_.Find(DigestOf(text))).value(); }

  asio::io_context io_;
  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  CountingTelemetry telemetry_;
  HeldEngine engine_;
  MapCache cache_;
  DoneBoard board_;
  FakeJobQueue queue_;
  OverrideBoard overrides_{clock_, log_};
  ScanService scans_{{}, engine_, cache_, board_, io_.get_executor(), clock_, log_, telemetry_, nullptr, &overrides_};
  JobService jobs_{scans_, queue_, queue_, board_, clock_, telemetry_};
  std::optional<Workers> workers_;
};

TEST_F(OverriddenTest, AnOverrideAnswersBeforeCacheAndEngine) {
  Say("a", VerdictKind::kInfected);
  Say("b", VerdictKind::kClean);
  const Answer denied = Scan("a");
  ASSERT_NE(denied.overriding, nullptr);
  EXPECT_EQ(denied.kind(), VerdictKind::kInfected);
  EXPECT_EQ(denied.verdict, nullptr);
  EXPECT_TRUE(denied.cached && denied.fresh && denied.IsLasting());
  EXPECT_EQ(Scan("b").kind(), VerdictKind::kClean);
  EXPECT_THAT(engine_.started, IsEmpty());
  EXPECT_TRUE(cache_.entries.empty());
  EXPECT_THAT(telemetry_.overridden, ElementsAre(VerdictKind::kInfected, VerdictKind::kClean));
  EXPECT_THAT(telemetry_.verdicts, IsEmpty());
}

TEST_F(OverriddenTest, AnswersWithoutAnEngine) {
  Say("a", VerdictKind::kClean);
  engine_.info = nullptr;
  EXPECT_EQ(Run(scans_.FindFresh(DigestOf("a")))->kind(), VerdictKind::kClean);
  EXPECT_EQ(Run(scans_.Find(DigestOf("a")))->status, ScanStatus::kDone);
}

TEST_F(OverriddenTest, TheCachedVerdictCountsAgainAsSoonAsTheOverrideIsGone) {
  engine_.reason = Reason::kEncrypted;
  ASSERT_EQ(Scan("a").kind(), VerdictKind::kUnscannable);
  Say("a", VerdictKind::kClean);
  EXPECT_EQ(Scan("a").kind(), VerdictKind::kClean);
  EXPECT_EQ(StateOf("a").answer->kind(), VerdictKind::kClean);
  const auto now = scans_.FindNow(DigestOf("a"));
  ASSERT_TRUE(now && now->answer);
  EXPECT_EQ(now->answer->kind(), VerdictKind::kClean);
  overrides_.Drop(DigestOf("a"));
  EXPECT_EQ(Scan("a").kind(), VerdictKind::kUnscannable);
  EXPECT_EQ(StateOf("a").answer->kind(), VerdictKind::kUnscannable);
  EXPECT_EQ(engine_.started.size(), 1u);
}

TEST_F(OverriddenTest, AScanThatIsUnderWayIsAnsweredByAnOverrideToo) {
  engine_.released = false;
  auto answer = Start(LookUpOrScan(Text("a")));
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  Say("a", VerdictKind::kInfected);
  engine_.released = true;
  EXPECT_EQ(Await(answer)->kind(), VerdictKind::kInfected);
  ASSERT_TRUE(Becomes([&] { return cache_.entries.contains(DigestOf("a")); }));
  EXPECT_EQ(cache_.entries.at(DigestOf("a"))->kind(), VerdictKind::kClean) << "the engine's own word is kept";
}

TEST_F(OverriddenTest, WhatStandsForAnOverrideOfAnotherServerIsNotCached) {
  engine_.reason = Reason::kOverridden;  // as a server without an engine hears it from a worker
  EXPECT_EQ(Scan("a").verdict->reason(), Reason::kOverridden);
  Turn();
  EXPECT_TRUE(cache_.entries.empty());
}

TEST_F(OverriddenTest, ASubmitIsAnsweredAtOnceAndItsCallbackHearsOfIt) {
  Say("a", VerdictKind::kInfected);
  const auto submitted = Run(jobs_.Submit(Text("a"), Callback{"https://x/", "n"}));
  ASSERT_TRUE(submitted) << submitted.error().what;
  EXPECT_FALSE(submitted->is_queued);
  EXPECT_EQ(submitted->state.answer->kind(), VerdictKind::kInfected);
  EXPECT_TRUE(queue_.entries.empty());
  ASSERT_EQ(queue_.added.size(), 1u);
  const VerdictPtr kept = queue_.added.front().verdict;
  EXPECT_EQ(kept->kind(), VerdictKind::kUnscannable) << "what is kept is never clean";
  EXPECT_EQ(kept->reason(), Reason::kOverridden);
  EXPECT_EQ(scans_.AnswerWith(DigestOf("a"), kept, false).kind(), VerdictKind::kInfected);
}

TEST_F(OverriddenTest, AQueuedJobIsAnsweredAtOnceAndEndsWithoutAScan) {
  ASSERT_TRUE(Run(jobs_.Submit(Text("a"), std::nullopt)));
  Say("a", VerdictKind::kClean);
  EXPECT_EQ(StateOf("a").status, ScanStatus::kDone);
  EXPECT_EQ(StateOf("a").answer->kind(), VerdictKind::kClean);
  StartWorkers();
  ASSERT_TRUE(Ends("a"));
  EXPECT_EQ(queue_.entries.at(DigestOf("a")).job.state, JobState::kDone);
  EXPECT_THAT(engine_.started, IsEmpty());
  EXPECT_EQ(StateOf("a").answer->kind(), VerdictKind::kClean);

  overrides_.Drop(DigestOf("a"));
  EXPECT_EQ(StateOf("a").answer->verdict->reason(), Reason::kOverridden) << "nobody has looked into it";
  EXPECT_TRUE(cache_.entries.empty());
  EXPECT_TRUE(Run(jobs_.Submit(Text("a"), std::nullopt))->is_queued) << "it can be scanned now";
  ASSERT_TRUE(Becomes([&] { return !engine_.started.empty(); }));
}

TEST_F(OverriddenTest, AVerdictFromBeforeIsWorthMoreThanAJobThatWasNotScanned) {
  ASSERT_TRUE(Run(jobs_.Submit(Text("a"), std::nullopt)));
  Say("a", VerdictKind::kClean);
  StartWorkers();
  ASSERT_TRUE(Ends("a"));
  const EngineInfoPtr earlier = MakeEngineInfo("set 0");
  cache_.entries[DigestOf("a")] =
      std::make_shared<const Verdict>(Verdict::Infected({earlier, 1, WallTime{}, 1}, {"Found"}));
  overrides_.Drop(DigestOf("a"));
  EXPECT_EQ(StateOf("a").answer->kind(), VerdictKind::kInfected);
  EXPECT_FALSE(StateOf("a").answer->fresh);
}

TEST_F(OverriddenTest, WhoWaitsForAJobIsToldOfTheOverride) {
  engine_.released = false;
  StartWorkers();
  ASSERT_TRUE(Run(jobs_.Submit(Text("a"), std::nullopt)));
  ASSERT_TRUE(Becomes([&] { return engine_.running == 1; }));
  auto waiting = Start(jobs_.Await(DigestOf("a"), std::chrono::steady_clock::now() + std::chrono::minutes(1)));
  Turn();
  Say("a", VerdictKind::kInfected);
  engine_.released = true;
  const auto state = Await(waiting);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->status, ScanStatus::kDone);
  EXPECT_EQ(state->answer->kind(), VerdictKind::kInfected);
  EXPECT_NE(state->answer->overriding, nullptr);
}

}  // namespace
}  // namespace lazaret
