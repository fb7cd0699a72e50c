// The turn to load signatures, in a real Redis.
#include <deque>
#include <vector>

#include "fleet/load_turns.h"
#include "integration/fleet_fixture.h"

namespace lazaret::tests {
namespace {

constexpr const char* kKey = "lz:{nodes}:load-turn";

class TurnTaker {
 public:
  using Asked = std::future<Result<std::unique_ptr<LoadTurn>>>;

  TurnTaker(const RedisProcess& server, const std::string& id, fleet::LoadTurns::Settings settings)
      : client_(server.Url()), turns_(*client_, client_.io().executor(), id, settings, clock_, log_) {}
  ~TurnTaker() { client_.Run(End()); }

  Asked Ask() {
    return client_.io().Spawn(turns_.Ask([this](const std::string& node) {
      std::lock_guard lock(mutex_);
      waited_for_.push_back(node);
    }));
  }
  std::vector<std::string> waited_for() const {
    std::lock_guard lock(mutex_);
    return waited_for_;
  }
  void GiveBack(std::unique_ptr<LoadTurn> turn) { client_.Run(Destroy(std::move(turn))); }
  std::uint64_t round_trips() const { return client_.counters().round_trips; }

 private:
  static aio::Task<bool> Destroy(std::unique_ptr<LoadTurn> turn) {
    turn.reset();
    co_return true;
  }
  aio::Task<bool> End() {
    co_await turns_.Stop();
    co_return true;
  }

  const SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  mutable std::mutex mutex_;
  std::vector<std::string> waited_for_;
  RunningClient client_;
  fleet::LoadTurns turns_;
};

bool IsReady(const TurnTaker::Asked& asked) { return asked.wait_for(seconds(0)) == std::future_status::ready; }

class LoadTurnsTest : public testing::Test {
 protected:
  TurnTaker& Add(const std::string& id, fleet::LoadTurns::Settings settings = {}) {
    return takers_.emplace_back(server_, id, settings);
  }
  bool IsFree() const { return server_.Ask({"EXISTS", kKey}).integer() == 0; }

  RedisProcess server_;
  std::deque<TurnTaker> takers_;
};

TEST_F(LoadTurnsTest, GoFromOneToTheOther) {
  const fleet::LoadTurns::Settings lasting{.lease = std::chrono::hours(1), .max_wait = kPatience};
  TurnTaker& a = Add("a", lasting);
  TurnTaker& b = Add("b", lasting);
  auto first = a.Ask().get();
  ASSERT_TRUE(first) << first.error().what;
  auto second = b.Ask();
  ASSERT_TRUE(Eventually([&] { return b.waited_for() == std::vector<std::string>{"a"}; }));
  EXPECT_FALSE(IsReady(second));
  a.GiveBack(*std::move(first));
  auto turn = second.get();
  ASSERT_TRUE(turn);
  EXPECT_TRUE(a.waited_for().empty());
  b.GiveBack(*std::move(turn));
  EXPECT_TRUE(Eventually([&] { return IsFree(); }));
}

TEST_F(LoadTurnsTest, AreRenewedAsLongAsTheyTake) {
  const fleet::LoadTurns::Settings quick{.lease = milliseconds(300)};
  TurnTaker& a = Add("a", quick);
  TurnTaker& b = Add("b", quick);
  auto first = a.Ask().get();
  ASSERT_TRUE(first);
  auto second = b.Ask();
  // Each renewal is a third of a lease after the one before.
  const std::uint64_t before = a.round_trips();
  ASSERT_TRUE(Eventually([&] { return a.round_trips() >= before + 9; }));
  EXPECT_FALSE(IsReady(second));
  a.GiveBack(*std::move(first));
  auto turn = second.get();
  ASSERT_TRUE(turn);
  b.GiveBack(*std::move(turn));
}

TEST_F(LoadTurnsTest, AreWaitedForSoLongAndNoLonger) {
  server_.Ask({"SET", kKey, "ghost/1"});
  TurnTaker& a = Add("a", {.lease = milliseconds(300), .max_wait = milliseconds(500)});
  const auto turn = a.Ask().get();
  ASSERT_FALSE(turn);
  EXPECT_EQ(turn.error().code, Errc::kTimeout);
  EXPECT_THAT(turn.error().what, testing::HasSubstr("node ghost"));
  EXPECT_EQ(server_.Ask({"GET", kKey}).text(), "ghost/1") << "another's is not given up";
}

TEST_F(LoadTurnsTest, EndWithTheirLeaseWhenTheirNodeIsGone) {
  server_.Ask({"SET", kKey, "ghost/1", "PX", "1500"});
  TurnTaker& a = Add("a", {.lease = milliseconds(600)});
  auto turn = a.Ask().get();
  ASSERT_TRUE(turn);
  EXPECT_EQ(a.waited_for(), std::vector<std::string>{"ghost"});
  a.GiveBack(*std::move(turn));
}

TEST_F(LoadTurnsTest, AreNotWaitedForWithoutRedis) {
  const fleet::LoadTurns::Settings quick{.lease = milliseconds(600)};
  TurnTaker& a = Add("a", quick);
  TurnTaker& b = Add("b", quick);
  auto first = a.Ask().get();
  ASSERT_TRUE(first);
  auto second = b.Ask();
  ASSERT_TRUE(Eventually([&] { return !b.waited_for().empty(); }));
  server_.Kill();
  auto turn = second.get();
  ASSERT_TRUE(turn) << turn.error().what;
  a.GiveBack(*std::move(first));
  b.GiveBack(*std::move(turn));
  server_.Start();
  auto again = b.Ask().get();
  ASSERT_TRUE(again);
  EXPECT_TRUE(Eventually([&] { return !IsFree(); }));
  b.GiveBack(*std::move(again));
}

TEST_F(LoadTurnsTest, AreNotWaitedForWhileRedisStandsStill) {
  TurnTaker& a = Add("a", {.lease = milliseconds(600)});
  server_.Stop();
  auto turn = a.Ask().get();
  EXPECT_TRUE(turn);
  server_.Continue();
  a.GiveBack(*std::move(turn));
}

}  // namespace
}  // namespace lazaret::tests
