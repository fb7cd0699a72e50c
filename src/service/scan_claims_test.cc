// Several nodes that scan the same contents: services that share a cache and claims, each with an engine of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <deque>
#include <exception>
#include <map>
#include <optional>

#include "service/pending_scan.h"
#include "service/scan_service.h"
#include "service/test_doubles.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;

// Claims in memory: one holder for each content and signature set.
class FakeClaims final : public ScanClaims {
 public:
  using Key = std::pair<Digest, Digest>;
  explicit FakeClaims(MapCache& cache) : cache_(cache) {}

  aio::Task<Result<Answer>> Ask(Digest digest, EngineInfoPtr engine) override {
    ++asked;
    if (failure) co_return std::unexpected(*failure);
    const Key key(digest, engine->signature_set);
    Answer answer{.claim = nullptr, .verdict = cache_.Peek(digest)};
    if (!holders.contains(key)) {
      holders[key] = ++last_;
      answer.claim = std::make_unique<Held>(*this, key, last_);
    }
    co_return answer;
  }

  // As if the holders' leases had ended.
  void Expire() { holders.clear(); }

  std::map<Key, int> holders;
  std::optional<Error> failure;
  int asked = 0;

 private:
  class Held final : public ScanClaim {
   public:
    Held(FakeClaims& claims, Key key, int number) : claims_(claims), key_(key), number_(number) {}
    ~Held() override {
      const auto entry = claims_.holders.find(key_);
      if (entry != claims_.holders.end() && entry->second == number_) claims_.holders.erase(entry);
    }

   private:
    FakeClaims& claims_;
    const Key key_;
    const int number_;
  };

  MapCache& cache_;
  int last_ = 0;
};

class ScanClaimsTest : public testing::Test {
 protected:
  struct Node {
    explicit Node(ScanClaimsTest& test, std::size_t slots = 1)
        : engine(slots),
          service({.queue = {.max_waiting = 10, .short_time = milliseconds(10)}, .sharing = CacheSharing::kFleet},
                  engine, test.cache_, board, test.io_.get_executor(), test.clock_, test.log_, telemetry,
                  &test.claims_) {}
    HeldEngine engine;
    DoneBoard board;
    Telemetry telemetry;
    ScanService service;
  };
  using Pending = PendingScan;

  // Also after a test that failed.
  void TearDown() override {
    cache_.held = false;
    for (Node& node : nodes_) {
      node.engine.released = true;
      asio::co_spawn(io_, node.service.Drain(SteadyTime::min()), asio::detached);
    }
    io_.restart();
    io_.run();
  }

  void AddNodes(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) nodes_.emplace_back(*this).engine.released = false;
  }

  Pending Start(Node& node, const std::string& text, milliseconds deadline = std::chrono::minutes(1),
                Urgency urgency = Urgency::kUrgent) {
    return StartScan(io_, node.service, text, std::chrono::steady_clock::now() + deadline, urgency);
  }
  template <class Condition>
  bool RunUntil(Condition holds) {
    return RunIoUntil(io_, holds);
  }
  Result<Answer> Wait(const Pending& pending) {
    if (!RunUntil([&] { return pending.answer->has_value(); })) return Fail(Errc::kInternal, "no answer");
    return **pending.answer;
  }
  // Whether every node but `holder` waits and has asked at least twice more.
  bool OthersWait(int asked_before) {
    return RunUntil([&] { return claims_.asked >= asked_before + 2 * static_cast<int>(nodes_.size()); });
  }
  int Running() const {
    int running = 0;
    for (const Node& node : nodes_) running += node.engine.running;
    return running;
  }
  std::size_t Scans() const {
    std::size_t scans = 0;
    for (const Node& node : nodes_) scans += node.engine.started.size();
    return scans;
  }

  asio::io_context io_;
  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  MapCache cache_;
  FakeClaims claims_{cache_};
  std::deque<Node> nodes_;
};

TEST_F(ScanClaimsTest, OneOfManyNodesScansAndAllAnswer) {
  AddNodes(4);
  std::vector<Pending> pending;
  for (Node& node : nodes_) pending.push_back(Start(node, "a"));
  ASSERT_TRUE(OthersWait(0));
  EXPECT_EQ(Running(), 1);
  for (Node& node : nodes_) node.engine.released = true;
  int cached = 0;
  for (const Pending& one : pending) {
    const auto answer = Wait(one);
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_TRUE(answer->fresh);
    cached += answer->cached ? 1 : 0;
  }
  EXPECT_EQ(cached, 3);
  EXPECT_EQ(Scans(), 1u);
  EXPECT_TRUE(RunUntil([&] { return claims_.holders.empty(); }));
}

TEST_F(ScanClaimsTest, WhoWaitsForAnotherNodeHoldsNoSlot) {
  AddNodes(2);
  ASSERT_EQ(nodes_[1].engine.slots, 1u);
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  Pending second = Start(nodes_[1], "a");
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= 3; }));
  nodes_[1].engine.released = true;
  EXPECT_TRUE(Wait(Start(nodes_[1], "b")));
  EXPECT_FALSE(second.answer->has_value());
  nodes_[0].engine.released = true;
  EXPECT_TRUE(Wait(second).value().cached);
}

TEST_F(ScanClaimsTest, WaitsOnlyUntilItsDeadline) {
  AddNodes(2);
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  const auto late = Wait(Start(nodes_[1], "a", milliseconds(30)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout);
  EXPECT_TRUE(nodes_[1].engine.started.empty());
  nodes_[0].engine.released = true;
  EXPECT_TRUE(Wait(first));
}

TEST_F(ScanClaimsTest, AsksNoMoreWhenNobodyWaits) {
  AddNodes(2);
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  Pending second = Start(nodes_[1], "a");
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= 3; }));
  second.cancel->emit(asio::cancellation_type::terminal);
  // Its flight ends, although the claim is held for as long as ever.
  bool drained = false;
  asio::co_spawn(io_, nodes_[1].service.Drain(std::chrono::steady_clock::now() + std::chrono::hours(1)),
                 [&](std::exception_ptr) { drained = true; });
  EXPECT_TRUE(RunUntil([&] { return drained; }));
  nodes_[0].engine.released = true;
  EXPECT_TRUE(Wait(first));
  EXPECT_TRUE(nodes_[1].engine.started.empty());
}

TEST_F(ScanClaimsTest, AnotherTakesOverWhenTheHolderGivesUp) {
  AddNodes(2);
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  Pending second = Start(nodes_[1], "a");
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= 3; }));
  first.cancel->emit(asio::cancellation_type::terminal);
  nodes_[1].engine.released = true;
  const auto answer = Wait(second);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->cached);
  EXPECT_EQ(nodes_[1].engine.started.size(), 1u);
}

TEST_F(ScanClaimsTest, AnotherTakesOverWhenTheScanOfTheHolderGivesWay) {
  Node& busy = nodes_.emplace_back(*this, 2);
  AddNodes(1);
  busy.engine.held = {DigestOf("slow 1"), DigestOf("slow 2")};
  const Pending first = Start(busy, "slow 1");
  ASSERT_TRUE(RunUntil([&] { return busy.engine.running == 1; }));
  const Pending second = Start(busy, "slow 2");
  ASSERT_TRUE(RunUntil([&] { return busy.engine.running == 2; }));
  nodes_.back().engine.released = true;
  const Pending elsewhere = Start(nodes_.back(), "slow 2");
  const int asked = claims_.asked;
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= asked + 2; }));
  EXPECT_FALSE(elsewhere.answer->has_value());
  EXPECT_TRUE(Wait(Start(busy, "quick")));
  EXPECT_FALSE(Wait(elsewhere).value().cached);
  busy.engine.held.clear();
  EXPECT_TRUE(Wait(first));
  EXPECT_TRUE(Wait(second).value().cached);
}

TEST_F(ScanClaimsTest, AnotherTakesOverWhenTheEngineOfTheHolderFails) {
  AddNodes(2);
  nodes_[0].engine.failure = Error{Errc::kUnavailable, "gone"};
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  Pending second = Start(nodes_[1], "a");
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= 3; }));
  for (Node& node : nodes_) node.engine.released = true;
  EXPECT_FALSE(Wait(first));
  EXPECT_FALSE(Wait(second).value().cached);
}

TEST_F(ScanClaimsTest, AnotherTakesOverWhenTheLeaseEnds) {
  AddNodes(2);
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  Pending second = Start(nodes_[1], "a");
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= 3; }));
  claims_.Expire();
  ASSERT_TRUE(RunUntil([&] { return nodes_[1].engine.running == 1; }));
  for (Node& node : nodes_) node.engine.released = true;
  EXPECT_TRUE(Wait(first));
  EXPECT_TRUE(Wait(second));
}

TEST_F(ScanClaimsTest, AllScanWhenNobodyCanSay) {
  AddNodes(3);
  claims_.failure = Error{Errc::kUnavailable, "Redis is gone"};
  std::vector<Pending> pending;
  for (Node& node : nodes_) pending.push_back(Start(node, "a"));
  EXPECT_TRUE(RunUntil([&] { return Running() == 3; }));
  for (Node& node : nodes_) node.engine.released = true;
  for (const Pending& one : pending) EXPECT_TRUE(Wait(one));
}

TEST_F(ScanClaimsTest, AllWhoWaitScanWhenTheClaimsFailMeanwhile) {
  AddNodes(3);
  std::vector<Pending> pending;
  for (Node& node : nodes_) pending.push_back(Start(node, "a"));
  ASSERT_TRUE(OthersWait(0));
  ASSERT_EQ(Running(), 1);
  claims_.failure = Error{Errc::kUnavailable, "Redis is gone"};
  EXPECT_TRUE(RunUntil([&] { return Running() == 3; }));
  for (Node& node : nodes_) node.engine.released = true;
  for (const Pending& one : pending) EXPECT_TRUE(Wait(one));
}

TEST_F(ScanClaimsTest, NodesWithDifferentSignaturesDoNotWaitForEachOther) {
  AddNodes(2);
  nodes_[1].engine.info = MakeEngineInfo("set 2");
  Pending first = Start(nodes_[0], "a");
  Pending second = Start(nodes_[1], "a");
  EXPECT_TRUE(RunUntil([&] { return Running() == 2; }));
  for (Node& node : nodes_) node.engine.released = true;
  EXPECT_TRUE(Wait(first).value().fresh);
  EXPECT_TRUE(Wait(second).value().fresh);
}

TEST_F(ScanClaimsTest, APassingVerdictOfAnotherNodeAnswersTheUrgentAndIsTriedAgainForTheQueued) {
  AddNodes(3);
  nodes_[0].engine.reason = Reason::kTimeout;
  Pending first = Start(nodes_[0], "a");
  ASSERT_TRUE(RunUntil([&] { return nodes_[0].engine.running == 1; }));
  Pending urgent = Start(nodes_[1], "a");
  Pending queued = Start(nodes_[2], "a", std::chrono::minutes(1), Urgency::kQueued);
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= 7; }));
  nodes_[0].engine.released = true;
  const auto passing = Wait(urgent);
  ASSERT_TRUE(passing);
  EXPECT_EQ(passing->verdict->reason(), Reason::kTimeout);
  EXPECT_TRUE(RunUntil([&] { return nodes_[2].engine.running == 1; }));
  nodes_[2].engine.released = true;
  EXPECT_EQ(Wait(queued).value().verdict->kind(), VerdictKind::kClean);
  EXPECT_TRUE(nodes_[1].engine.started.empty());
}

TEST_F(ScanClaimsTest, TheClaimIsHeldUntilTheVerdictIsStored) {
  AddNodes(2);
  cache_.held = true;
  nodes_[0].engine.released = true;
  EXPECT_TRUE(Wait(Start(nodes_[0], "a")));
  Pending second = Start(nodes_[1], "a");
  const int asked = claims_.asked;
  ASSERT_TRUE(RunUntil([&] { return claims_.asked >= asked + 3; }));
  cache_.held = false;
  EXPECT_TRUE(Wait(second).value().cached);
  EXPECT_TRUE(nodes_[1].engine.started.empty());
}

}  // namespace
}  // namespace lazaret
