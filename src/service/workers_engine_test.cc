#include "service/workers_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <future>
#include <string>

#include "service/done_relay.h"
#include "service/fake_job_queue.h"
#include "service/test_doubles.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
using testing::SizeIs;

// One server without an engine; the test plays the worker on another one.
class WorkersEngineTest : public testing::Test {
 protected:
  ~WorkersEngineTest() override { RunToEnd(relay_.Stop()); }

  void Turn() {
    io_.restart();
    io_.run_for(milliseconds(5));
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
  std::future<Result<VerdictPtr>> Scan(const std::string& text, milliseconds time = seconds(60)) {
    return Start(ScanNow(std::make_shared<TextContent>(text), clock_.SteadyNow() + time));
  }
  aio::Task<Result<VerdictPtr>> ScanNow(ContentPtr content, SteadyTime deadline) {
    auto verdict = co_await engine_.Scan(std::move(content), deadline);
    if (!verdict) co_return std::unexpected(verdict.error());
    co_return std::make_shared<const Verdict>(*std::move(verdict));
  }
  LeasedJob Take() { return RunToEnd(queue_.Take(JobKind::kAny, clock_.SteadyNow() + seconds(10))).value().value(); }
  void Finish(const LeasedJob& job, Verdict verdict, JobState end = JobState::kDone) {
    ASSERT_TRUE(RunToEnd(queue_.Finish(job.lease, std::make_shared<const Verdict>(std::move(verdict)), end)));
    asio::post(io_, [this, id = job.lease.id] { relay_.Hear(id); });
  }
  ScanRecord Record() const { return {newest_, 1, WallTime{}, 1.5}; }

  asio::io_context io_;
  SystemClock clock_;
  Log log_{LogFormat::kText, static_cast<LogLevel>(4)};
  DoneBoard board_;
  FakeJobQueue queue_;
  EngineInfoPtr newest_ = MakeEngineInfo("set 1");
  DoneRelay relay_{queue_, board_, io_.get_executor(), log_};
  WorkersEngine engine_{queue_, board_, [this] { return newest_; }, 4, clock_};
};

TEST_F(WorkersEngineTest, SaysThatSomebodyWaits) {
  auto scan = Scan("a");
  Finish(Take(), Verdict::Clean(Record()));
  EXPECT_TRUE(Await(scan));
  EXPECT_EQ(queue_.urgent_submits, 1);
}

TEST_F(WorkersEngineTest, AnswersWithWhatAWorkerFound) {
  auto scan = Scan("a");
  Finish(Take(), Verdict::Infected(Record(), {"Sample"}));
  const auto verdict = Await(scan);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ((*verdict)->kind(), VerdictKind::kInfected);
}

TEST_F(WorkersEngineTest, APassingVerdictAnswersOnlyWhenTheJobIsGivenUp) {
  auto scan = Scan("a");
  const auto job = Take();
  board_.Announce(job.lease.id, std::make_shared<const Verdict>(Verdict::Unscannable(Record(), Reason::kTimeout, "")));
  for (int i = 0; i < 10; ++i) Turn();
  EXPECT_EQ(scan.wait_for(seconds(0)), std::future_status::timeout) << "the job is not finished";
  Finish(job, Verdict::Unscannable(Record(), Reason::kTimeout, "thrice"), JobState::kDead);
  const auto verdict = Await(scan);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ((*verdict)->reason(), Reason::kTimeout);
}

TEST_F(WorkersEngineTest, WhatIsToldOfAnEarlierJobIsNoAnswer) {
  auto scan = Scan("a");
  const auto job = Take();
  const ScanRecord yesterday{MakeEngineInfo("set 0"), 1, WallTime{}, 1.5};
  board_.Announce(job.lease.id, std::make_shared<const Verdict>(Verdict::Clean(yesterday)));
  for (int i = 0; i < 10; ++i) Turn();
  EXPECT_EQ(scan.wait_for(seconds(0)), std::future_status::timeout) << "its signatures are not those of now";
  Finish(job, Verdict::Infected(Record(), {"Sample"}));
  const auto verdict = Await(scan);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ((*verdict)->kind(), VerdictKind::kInfected);
}

TEST_F(WorkersEngineTest, AClosedBoardIsNoReasonToAskWithoutAPause) {
  board_.Close();
  auto scan = Scan("a", milliseconds(350));
  ASSERT_FALSE(Await(scan));
  EXPECT_LE(queue_.finds, 5);
}

TEST_F(WorkersEngineTest, TheDeadlineIsNoVerdict) {
  auto scan = Scan("a", milliseconds(20));
  const auto verdict = Await(scan);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::kTimeout);
  EXPECT_THAT(queue_.entries, SizeIs(1)) << "the job goes on";
}

TEST_F(WorkersEngineTest, WithoutAWorkerNothingIsQueued) {
  newest_ = nullptr;
  auto scan = Scan("a");
  const auto verdict = Await(scan);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::kUnavailable);
  EXPECT_THAT(queue_.entries, SizeIs(0));
}

TEST_F(WorkersEngineTest, ADroppedJobIsNoVerdict) {
  auto scan = Scan("a");
  const auto job = Take();
  queue_.entries.erase(job.lease.id);
  board_.Announce(job.lease.id, nullptr);
  const auto verdict = Await(scan);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::kUnavailable);
}

TEST_F(WorkersEngineTest, AQueueThatRefusesIsTheAnswer) {
  queue_.failure = Error{Errc::kOverloaded, "full"};
  auto scan = Scan("a");
  const auto verdict = Await(scan);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::kOverloaded);
}

TEST_F(WorkersEngineTest, NobodyWhoWaitsNobodyIsTold) {
  auto scan = Scan("a", milliseconds(20));
  ASSERT_FALSE(Await(scan));
  EXPECT_FALSE(board_.IsAwaited(DigestOf("a")));
  Finish(Take(), Verdict::Clean(Record()));
  for (int i = 0; i < 3; ++i) Turn();
  EXPECT_EQ(board_.waiting(), 0u);
}

}  // namespace
}  // namespace lazaret
