#include "service/scan_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <optional>

#include "aio/deadline.h"
#include "service/test_doubles.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;

class ScanServiceTest : public testing::Test {
 protected:
  ScanService& service() {
    if (!service_) service_.emplace(settings_, engine_, cache_, board_, io_.get_executor(), clock_, log_, telemetry_);
    return *service_;
  }

  struct Pending {
    std::shared_ptr<asio::cancellation_signal> cancel;
    std::future<Result<Answer>> answer;
  };

  Pending Start(const std::string& text, milliseconds deadline = std::chrono::minutes(1)) {
    Pending pending{std::make_shared<asio::cancellation_signal>(), {}};
    std::promise<Result<Answer>> promise;
    pending.answer = promise.get_future();
    asio::co_spawn(io_, LookUpOrScan(std::make_shared<TextContent>(text), std::chrono::steady_clock::now() + deadline),
                   asio::bind_cancellation_slot(
                       pending.cancel->slot(),
                       [promise = std::move(promise)](std::exception_ptr error, Result<Answer> answer) mutable {
                         if (error) {
                           promise.set_exception(error);
                         } else {
                           promise.set_value(std::move(answer));
                         }
                       }));
    return pending;
  }

  // What a front door does with a content.
  aio::Task<Result<Answer>> LookUpOrScan(ContentPtr content, SteadyTime deadline) {
    if (auto known = co_await service().FindKnown(content)) co_return *std::move(known);
    co_return co_await service().Scan(content, deadline);
  }

  // Runs what can run; the engine polls, so that a held scan needs a few turns.
  void Turn() {
    io_.restart();
    io_.run_for(milliseconds(20));
  }

  Result<Answer> Scan(const std::string& text) {
    Pending pending = Start(text);
    return Wait(pending);
  }

  Result<Answer> Wait(Pending& pending) {
    while (pending.answer.wait_for(seconds(0)) != std::future_status::ready) Turn();
    Turn();
    return pending.answer.get();
  }

  template <class T>
  T Run(aio::Task<T> task) {
    auto future = asio::co_spawn(io_, std::move(task), asio::use_future);
    while (future.wait_for(seconds(0)) != std::future_status::ready) Turn();
    return future.get();
  }

  asio::io_context io_;
  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  HeldEngine engine_;
  MapCache cache_;
  DoneBoard board_;
  ScanServiceSettings settings_;
  std::optional<ScanService> service_;
};

TEST_F(ScanServiceTest, ScansOnceAndRemembers) {
  const auto first = Scan("a");
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_FALSE(first->cached);
  EXPECT_TRUE(first->fresh);
  EXPECT_EQ(first->verdict->kind(), VerdictKind::kClean);
  const auto second = Scan("a");
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->cached);
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("a")));
}

TEST_F(ScanServiceTest, KnowsAVerdictFromTheMomentItIsGiven) {
  cache_.held = true;
  ASSERT_TRUE(Scan("a"));
  ASSERT_TRUE(cache_.entries.empty());
  const auto state = Run(service().Find(DigestOf("a")));
  ASSERT_TRUE(state && state->answer);
  EXPECT_TRUE(state->answer->fresh);
  EXPECT_TRUE(Run(service().FindFresh(DigestOf("a"))));
  EXPECT_TRUE(Scan("a")->cached);
  cache_.held = false;
  EXPECT_TRUE(Scan("a")->cached);
  EXPECT_EQ(engine_.started.size(), 1u);
}

TEST_F(ScanServiceTest, SharesOneScanBetweenAllWhoAskMeanwhile) {
  engine_.released = false;
  std::vector<Pending> pending;
  for (int i = 0; i < 10; ++i) pending.push_back(Start("a"));
  Turn();
  EXPECT_EQ(Run(service().Find(DigestOf("a")))->status, ScanStatus::kScanning);
  EXPECT_FALSE(service().FindNow(DigestOf("a")));
  engine_.released = true;
  for (Pending& one : pending) {
    const auto answer = Wait(one);
    ASSERT_TRUE(answer);
    EXPECT_FALSE(answer->cached);
  }
  EXPECT_EQ(engine_.started.size(), 1u);
}

TEST_F(ScanServiceTest, ScansAgainWhenTheSignaturesChanged) {
  Scan("a");
  engine_.info = MakeEngineInfo("set 2");
  const auto state = Run(service().Find(DigestOf("a")));
  ASSERT_TRUE(state && state->answer);
  EXPECT_FALSE(state->answer->fresh);
  EXPECT_FALSE(Run(service().FindFresh(DigestOf("a"))));
  const auto again = Scan("a");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->cached);
  EXPECT_TRUE(again->fresh);
  EXPECT_EQ(engine_.started.size(), 2u);
}

TEST_F(ScanServiceTest, HasAtHandOnlyWhatIsFreshAndInMemory) {
  EXPECT_FALSE(service().FindAtHand(DigestOf("a")));
  Scan("a");
  const auto known = service().FindAtHand(DigestOf("a"));
  ASSERT_TRUE(known);
  EXPECT_TRUE(known->cached);
  EXPECT_TRUE(known->fresh);
  EXPECT_EQ(known->kind(), VerdictKind::kClean);
  engine_.info = MakeEngineInfo("set 2");
  EXPECT_FALSE(service().FindAtHand(DigestOf("a"))) << "stale";
  engine_.info = nullptr;
  EXPECT_FALSE(service().FindAtHand(DigestOf("a"))) << "nothing is fresh without an engine";
}

TEST_F(ScanServiceTest, FindsNowOnlyWhatLasts) {
  EXPECT_FALSE(service().FindNow(DigestOf("a"))) << "unknown";
  Scan("a");
  const auto known = service().FindNow(DigestOf("a"));
  ASSERT_TRUE(known && known->answer);
  EXPECT_EQ(known->status, ScanStatus::kDone);
  EXPECT_TRUE(known->answer->cached);
  EXPECT_TRUE(known->answer->fresh);
  EXPECT_EQ(known->answer->kind(), VerdictKind::kClean);
  engine_.info = MakeEngineInfo("set 2");
  EXPECT_FALSE(service().FindNow(DigestOf("a"))) << "stale";
}

TEST_F(ScanServiceTest, KeepsVerdictsOfTheSameSetAfterARestartOfTheEngine) {
  Scan("a");
  engine_.info = MakeEngineInfo("set 1");
  EXPECT_TRUE(Scan("a")->cached);
}

TEST_F(ScanServiceTest, CancelsAScanWhenTheLastWhoWaitsForItLeaves) {
  engine_.released = false;
  Pending first = Start("a");
  Pending second = Start("a");
  Turn();
  ASSERT_EQ(engine_.running, 1);
  first.cancel->emit(asio::cancellation_type::terminal);
  Turn();
  EXPECT_EQ(engine_.running, 1) << "the second still waits";
  second.cancel->emit(asio::cancellation_type::terminal);
  Turn();
  EXPECT_EQ(engine_.running, 0);
  engine_.released = true;
  EXPECT_TRUE(Scan("a")) << "nothing is left in the way of the next";
  EXPECT_EQ(engine_.started.size(), 2u);
}

TEST_F(ScanServiceTest, AnsweredRequestsDoNotWaitForTheDeadlineOfOthers) {
  engine_.released = false;
  Pending impatient = Start("a", milliseconds(5));
  Pending patient = Start("a");
  const auto late = Wait(impatient);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout);
  EXPECT_EQ(engine_.running, 1);
  engine_.released = true;
  EXPECT_TRUE(Wait(patient));
}

TEST_F(ScanServiceTest, RefusesJustOneMoreThanMayWait) {
  settings_.queue.max_waiting = 2;
  engine_.released = false;
  Pending running = Start("running");
  Pending first = Start("first");
  Turn();
  EXPECT_TRUE(service().CheckAdmission(1));
  Pending second = Start("second");
  Turn();
  EXPECT_EQ(service().CheckAdmission(1).error().code, Errc::kOverloaded);
  EXPECT_EQ(service().Status().waiting, 2u);
  Pending third = Start("third");
  const auto refused = Wait(third);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kOverloaded);
  Pending same = Start("first");
  engine_.released = true;
  EXPECT_TRUE(Wait(running));
  EXPECT_TRUE(Wait(first));
  EXPECT_TRUE(Wait(second));
  EXPECT_TRUE(Wait(same)) << "a full queue does not keep out who shares a scan that waits already";
}

TEST_F(ScanServiceTest, BoundsShortOnesAndLongOnesApart) {
  settings_.queue.max_waiting = 1;
  settings_.queue.small_size = 10;
  engine_.released = false;
  Pending running = Start("running");
  Turn();
  Pending small = Start("small");
  Pending large = Start("this one is large");
  Turn();
  EXPECT_EQ(service().CheckAdmission(10).error().code, Errc::kOverloaded);
  EXPECT_EQ(service().CheckAdmission(11).error().code, Errc::kOverloaded);
  EXPECT_EQ(service().Status().waiting, 2u);
  EXPECT_EQ(service().Status().long_waiting, 1u);
  EXPECT_EQ(service().Status().max_waiting, 1u);
  engine_.released = true;
  EXPECT_TRUE(Wait(running));
  EXPECT_TRUE(Wait(small));
  EXPECT_TRUE(Wait(large));
}

TEST_F(ScanServiceTest, OnlyScansWithAVerdictTellHowLongOthersTake) {
  settings_.queue.small_size = 0;
  FakeClock clock;
  service_.emplace(settings_, engine_, cache_, board_, io_.get_executor(), clock, log_, telemetry_);
  const seconds before = service().TimeFor(100);
  engine_.released = false;
  for (int i = 0; i < 20; ++i) {
    Pending cancelled = Start(std::to_string(i));
    Turn();
    ASSERT_EQ(engine_.running, 1);
    clock.Advance(seconds(10));
    cancelled.cancel->emit(asio::cancellation_type::terminal);
    while (engine_.running > 0) Turn();
  }
  EXPECT_EQ(service().TimeFor(100), before);
  Pending scanned = Start("scanned");
  Turn();
  clock.Advance(seconds(10));
  engine_.released = true;
  ASSERT_TRUE(Wait(scanned));
  EXPECT_GT(service().TimeFor(100), before);
}

TEST_F(ScanServiceTest, GivesUpOnAScanThatGetsNoSlotInTime) {
  settings_.queue.max_wait = milliseconds(5);
  engine_.released = false;
  Pending running = Start("running");
  Turn();
  Pending waiting = Start("waiting");
  const auto answer = Wait(waiting);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kOverloaded);
  engine_.released = true;
  EXPECT_TRUE(Wait(running));
}

TEST_F(ScanServiceTest, AFailedScanIsNoVerdictAndIsNotRemembered) {
  engine_.failure = Error{Errc::kUnavailable, "engine is gone"};
  const auto answer = Scan("a");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
  EXPECT_TRUE(cache_.entries.empty());
  engine_.failure.reset();
  EXPECT_TRUE(Scan("a"));
}

TEST_F(ScanServiceTest, RefusesWithoutAnEngine) {
  engine_.info = nullptr;
  EXPECT_EQ(service().CheckAdmission(1).error(), (Error{Errc::kUnavailable, "not ready"}));
  const auto answer = Scan("a");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
}

TEST_F(ScanServiceTest, GoesOnWithoutItsCache) {
  cache_.failure = Error{Errc::kUnavailable, "disk is gone"};
  EXPECT_TRUE(Scan("a"));
  const auto state = Run(service().Find(DigestOf("a")));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, Errc::kUnavailable);
}

TEST_F(ScanServiceTest, KnowsNothingOfAContentThatItHasNotSeen) {
  EXPECT_EQ(Run(service().Find(DigestOf("new")))->status, ScanStatus::kUnknown);
}

TEST_F(ScanServiceTest, DrainEndsWhatDoesNotEndByItself) {
  engine_.released = false;
  Pending pending = Start("a");
  Turn();
  auto drained =
      asio::co_spawn(io_, service().Drain(std::chrono::steady_clock::now() + milliseconds(30)), asio::use_future);
  const auto answer = Wait(pending);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
  while (drained.wait_for(seconds(0)) != std::future_status::ready) Turn();
  EXPECT_EQ(Scan("b").error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace lazaret
