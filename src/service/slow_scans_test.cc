#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <optional>
#include <string>

#include "service/pending_scan.h"
#include "service/scan_service.h"
#include "service/test_doubles.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;

class GaveWayCounter final : public Telemetry {
 public:
  void OnGaveWay() override { ++count; }
  int count = 0;
};

// One ordinary slot and the express slot, and contents that are small but take long.
class SlowScansTest : public testing::Test {
 protected:
  using Pending = PendingScan;

  SlowScansTest() {
    engine_.slots = 2;
    settings_.queue.short_time = milliseconds(10);
    settings_.queue.small_size = 20;
  }

  // Also after a test that failed.
  void TearDown() override {
    engine_.held.clear();
    asio::co_spawn(io_, service().Drain(SteadyTime::min()), asio::detached);
    io_.restart();
    io_.run();
  }

  ScanService& service() {
    if (!service_) service_.emplace(settings_, engine_, cache_, board_, io_.get_executor(), clock_, log_, telemetry_);
    return *service_;
  }

  void Hold(const std::string& text) { engine_.held.insert(DigestOf(text)); }
  void LetGo(const std::string& text) { engine_.held.erase(DigestOf(text)); }

  Pending Start(const std::string& text, Urgency urgency = Urgency::kUrgent) {
    return StartScan(io_, service(), text, SteadyTime::max(), urgency);
  }
  template <class Condition>
  bool RunUntil(Condition holds) {
    return RunIoUntil(io_, holds);
  }
  void Run(milliseconds time) {
    io_.restart();
    io_.run_for(time);
  }
  bool IsClean(const Pending& pending) {
    if (!RunUntil([&] { return pending.IsAnswered(); })) return false;
    const Result<Answer>& answer = **pending.answer;
    return answer && answer->kind() == VerdictKind::kClean;
  }
  bool HaveStarted(std::size_t scans) {
    return RunUntil([&] { return engine_.started.size() >= scans; });
  }
  ScanStatus StatusOf(const std::string& text) {
    auto state = asio::co_spawn(io_, service().Find(DigestOf(text)), asio::use_future);
    while (state.wait_for(seconds(0)) != std::future_status::ready) Run(milliseconds(1));
    return state.get()->status;
  }
  // Most of the last small ones were slow.
  void LetMostBeSlow() {
    for (int i = 0; i < 30; ++i) {
      const std::string text = "slow " + std::to_string(100 + i);
      Hold(text);
      const Pending slow = Start(text);
      Run(settings_.queue.short_time * 2);
      LetGo(text);
      ASSERT_TRUE(IsClean(slow));
    }
    engine_.started.clear();
  }
  // "slow 1", known to be long, in the ordinary slot and "slow 2" in the express slot.
  void TakeAllSlots() {
    const std::size_t before = engine_.started.size();
    for (const std::string text : {"slow 1", "slow 2"}) {
      Hold(text);
      slow_.push_back(Start(text));
      ASSERT_TRUE(HaveStarted(before + slow_.size()));
    }
  }

  asio::io_context io_;
  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  GaveWayCounter telemetry_;
  HeldEngine engine_;
  MapCache cache_;
  DoneBoard board_;
  ScanServiceSettings settings_;
  std::optional<ScanService> service_;
  std::vector<Pending> slow_;
};

TEST_F(SlowScansTest, AQuickOnePassesASlowOneThatGoesOn) {
  Hold("slow");
  const Pending slow = Start("slow");
  ASSERT_TRUE(HaveStarted(1));
  EXPECT_TRUE(IsClean(Start("quick")));
  EXPECT_EQ(engine_.running, 1);
  LetGo("slow");
  EXPECT_TRUE(IsClean(slow));
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("slow"), DigestOf("quick")));
  EXPECT_EQ(telemetry_.count, 0);
}

TEST_F(SlowScansTest, TheYoungestGivesWayAndIsScannedAgain) {
  TakeAllSlots();
  const Pending same = Start("slow 2");
  EXPECT_TRUE(IsClean(Start("quick")));
  EXPECT_EQ(telemetry_.count, 1);
  EXPECT_EQ(StatusOf("slow 1"), ScanStatus::kScanning);
  EXPECT_EQ(StatusOf("slow 2"), ScanStatus::kQueued);
  EXPECT_FALSE(slow_[1].IsAnswered());
  LetGo("slow 1");
  EXPECT_TRUE(IsClean(slow_[0]));
  ASSERT_TRUE(HaveStarted(4));
  EXPECT_EQ(StatusOf("slow 2"), ScanStatus::kScanning);
  LetGo("slow 2");
  EXPECT_TRUE(IsClean(slow_[1]));
  EXPECT_TRUE(IsClean(same)) << "whoever shares the scan goes on waiting, too";
  EXPECT_THAT(engine_.started,
              ElementsAre(DigestOf("slow 1"), DigestOf("slow 2"), DigestOf("quick"), DigestOf("slow 2")));
  EXPECT_GE(engine_.deadlines[3] - engine_.deadlines[1], settings_.queue.short_time) << "with all of its time";
}

TEST_F(SlowScansTest, NoneGivesWayTwice) {
  TakeAllSlots();
  EXPECT_TRUE(IsClean(Start("quick")));
  LetGo("slow 1");
  EXPECT_TRUE(IsClean(slow_[0]));
  ASSERT_TRUE(HaveStarted(4));
  Hold("slow 3");
  const Pending third = Start("slow 3");
  ASSERT_TRUE(HaveStarted(5));
  EXPECT_TRUE(IsClean(Start("quick too")));
  EXPECT_EQ(StatusOf("slow 2"), ScanStatus::kScanning);
  EXPECT_EQ(StatusOf("slow 3"), ScanStatus::kQueued);
  EXPECT_EQ(telemetry_.count, 2);
}

TEST_F(SlowScansTest, GoesOnWhileNothingShortWaits) {
  TakeAllSlots();
  const Pending large = Start("a content of more than twenty bytes");
  Run(settings_.queue.short_time * 5);
  EXPECT_EQ(engine_.running, 2);
  EXPECT_EQ(telemetry_.count, 0);
  LetGo("slow 2");
  EXPECT_TRUE(IsClean(slow_[1]));
}

TEST_F(SlowScansTest, WhereMostAreSlowOnlyMuchSmallerOnesAreMadeRoomFor) {
  settings_.queue.patience = 1'000'000;
  LetMostBeSlow();
  TakeAllSlots();
  const Pending as_large = Start("slow 3");
  Run(settings_.queue.short_time * 5);
  EXPECT_FALSE(as_large.IsAnswered());
  EXPECT_EQ(telemetry_.count, 0);
  EXPECT_TRUE(IsClean(Start("3")));
  EXPECT_EQ(telemetry_.count, 1);
}

TEST_F(SlowScansTest, WhereMostAreSlowOthersAreMadeRoomForAfterAWhile) {
  settings_.queue.patience = 3;
  LetMostBeSlow();
  TakeAllSlots();
  EXPECT_TRUE(IsClean(Start("as 1")));
  EXPECT_EQ(telemetry_.count, 1);
  // Slow ones keep coming. Those that gave way are scanned again, which ends for nobody.
  for (int i = 2; i < 6; ++i) {
    const std::string text = "slow " + std::to_string(i + 1);
    Hold(text);
    slow_.push_back(Start(text));
    EXPECT_TRUE(IsClean(Start("as " + std::to_string(i)))) << i;
  }
  EXPECT_FALSE(slow_[0].IsAnswered());
  for (const std::string text : {"slow 1", "slow 2", "slow 3", "slow 4", "slow 5", "slow 6"}) LetGo(text);
  for (const Pending& slow : slow_) EXPECT_TRUE(IsClean(slow));
}

TEST_F(SlowScansTest, GoesOnWhereCancellingFreesNothing) {
  engine_.ends_cancelled_scans = false;
  TakeAllSlots();
  const Pending quick = Start("quick");
  Run(settings_.queue.short_time * 5);
  EXPECT_FALSE(quick.IsAnswered());
  EXPECT_EQ(engine_.running, 2);
  LetGo("slow 1");
  LetGo("slow 2");
  EXPECT_TRUE(IsClean(quick));
  EXPECT_EQ(engine_.started.size(), 3u);
}

TEST_F(SlowScansTest, MakesRoomForAQueuedOneOnceSomebodyWaitsForThat) {
  TakeAllSlots();
  const Pending queued = Start("quick", Urgency::kQueued);
  Run(settings_.queue.short_time * 5);
  ASSERT_EQ(telemetry_.count, 0);
  EXPECT_TRUE(IsClean(Start("quick")));
  EXPECT_TRUE(IsClean(queued));
  EXPECT_EQ(telemetry_.count, 1);
}

TEST_F(SlowScansTest, AScanThatWaitsInTheEngineIsNotLong) {
  engine_.paused = true;
  Hold("slow");
  const Pending slow = Start("slow");
  ASSERT_TRUE(HaveStarted(1));
  const Pending quick = Start("quick");
  Run(settings_.queue.short_time * 5);
  EXPECT_EQ(engine_.started.size(), 1u);
  engine_.paused = false;
  EXPECT_TRUE(IsClean(quick));
}

TEST_F(SlowScansTest, OneThatGaveWayIsNotGivenUp) {
  settings_.queue.max_wait = milliseconds(30);
  TakeAllSlots();
  EXPECT_TRUE(IsClean(Start("quick")));
  ASSERT_EQ(telemetry_.count, 1);
  Run(settings_.queue.max_wait * 3);
  EXPECT_FALSE(slow_[1].IsAnswered());
  LetGo("slow 1");
  LetGo("slow 2");
  EXPECT_TRUE(IsClean(slow_[1]));
}

TEST_F(SlowScansTest, OneThatIsWaitedForDoesNotGiveWayToAQueuedOne) {
  TakeAllSlots();
  const Pending queued = Start("quick", Urgency::kQueued);
  Run(settings_.queue.short_time * 5);
  EXPECT_EQ(telemetry_.count, 0);
  LetGo("slow 2");
  EXPECT_TRUE(IsClean(queued));
}

TEST_F(SlowScansTest, OneThatGaveWayIsNotRefusedWhereTooManyWait) {
  settings_.queue.max_waiting = 1;
  TakeAllSlots();
  const Pending large = Start("a content of more than twenty bytes");
  EXPECT_TRUE(IsClean(Start("quick")));
  ASSERT_EQ(telemetry_.count, 1);
  LetGo("slow 1");
  LetGo("slow 2");
  EXPECT_TRUE(IsClean(slow_[1]));
  EXPECT_TRUE(IsClean(large));
}

TEST_F(SlowScansTest, OneThatGaveWayCanBeLeft) {
  TakeAllSlots();
  EXPECT_TRUE(IsClean(Start("quick")));
  ASSERT_EQ(StatusOf("slow 2"), ScanStatus::kQueued);
  slow_[1].cancel->emit(asio::cancellation_type::terminal);
  EXPECT_TRUE(RunUntil([&] { return service().Status().waiting == 0; }));
  LetGo("slow 1");
  EXPECT_TRUE(IsClean(slow_[0]));
  EXPECT_TRUE(IsClean(Start("quick too"))) << "its slot is free";
}

TEST_F(SlowScansTest, AnExceptionOfTheEngineIsAnError) {
  engine_.throws = true;
  const Pending pending = Start("a");
  ASSERT_TRUE(RunUntil([&] { return pending.IsAnswered(); }));
  ASSERT_FALSE(*pending.answer->operator->());
  EXPECT_EQ((*pending.answer)->error().code, Errc::kInternal);
  const Pending large = Start("a content of more than twenty bytes");
  ASSERT_TRUE(RunUntil([&] { return large.IsAnswered(); }));
  ASSERT_FALSE(*large.answer->operator->());
  EXPECT_EQ((*large.answer)->error().code, Errc::kInternal);
}

}  // namespace
}  // namespace lazaret
