// Redis is slow, gone, empty, full or read-only: scans that are waited for go on where there is an engine, submits are
// refused with the reason, and everything works again as soon as Redis does.
#include <fmt/format.h>

#include "chaos/fleet_fixture.h"

namespace lazaret::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

class RedisTrouble : public FleetTest {
 protected:
  RedisTrouble()
      : redis_({.arguments = {"--appendonly", "yes", "--appendfsync", "always"}}),
        all_(Start(WithOptions(redis_.Url()), "all")),
        api_(Start(WithOptions(redis_.Url()), "api")) {}

  // Contents that nobody has sent before.
  std::string NewInfected() { return EicarWithPrefix(number_++); }
  std::string NewClean() { return PlainText(500, number_++); }

  void ExpectThatAllIsWell() {
    Tries tries;
    for (FleetNode* node : {&all_, &api_}) {
      EXPECT_TRUE(BecomesReady(*node));
      const std::string infected = NewInfected();
      EXPECT_TRUE(SubmitUntilTaken(node->port(), infected, tries));
      EXPECT_EQ(VerdictOf(*node, infected), "infected");
      EXPECT_TRUE(
          Eventually([&] { return testing::Value(Post(node->port(), "/v1/scan", NewClean()), HasVerdict("clean")); }));
      EXPECT_THAT(Post(node->port(), "/v1/scan", NewInfected()), HasVerdict("infected"));
    }
  }
  // Whoever has an engine goes on.
  void ExpectThatScansGoOn() {
    EXPECT_THAT(Post(all_.port(), "/v1/scan", NewInfected()), HasVerdict("infected"));
    EXPECT_THAT(Post(all_.port(), "/v1/scan", NewClean()), HasVerdict("clean"));
    EXPECT_THAT(Get(all_.port(), "/healthz"), HasStatus(200));
    EXPECT_THAT(Get(api_.port(), "/healthz"), HasStatus(200));
  }
  // `text` names the cause.
  void ExpectThatSubmitsAreRefused(std::string_view text) {
    for (FleetNode* node : {&all_, &api_}) {
      // What was refused after a time-out may be in the queue all the same; never is it acknowledged without being so.
      EXPECT_TRUE(Eventually([&] { return testing::Value(Submit(node->port(), NewClean()), IsRefusal(text)); }))
          << testing::PrintToString(Submit(node->port(), NewClean()));
    }
  }

  RedisProcess redis_;
  FleetNode& all_;
  FleetNode& api_;
  unsigned number_ = 0;
};

TEST_F(RedisTrouble, StandingStill) {
  ExpectThatAllIsWell();
  redis_.Stop();
  ExpectThatScansGoOn();
  ExpectThatSubmitsAreRefused("Redis");
  ExpectThatScansGoOn();
  redis_.Continue();
  ExpectThatAllIsWell();
}

TEST_F(RedisTrouble, GoneAndBackWithEverything) {
  const std::string slow = Hook("slow 2000") + Eicar();
  ASSERT_THAT(Submit(api_.port(), slow), HasStatus(202));
  redis_.Kill();
  ExpectThatScansGoOn();
  ExpectThatSubmitsAreRefused("Redis");
  EXPECT_THAT(Post(api_.port(), "/v1/scan", NewClean()), testing::AnyOf(HasStatus(503), HasStatus(504)));
  redis_.Start();
  // It was acknowledged, and Redis has kept it.
  EXPECT_TRUE(Eventually([&] { return VerdictOf(api_, slow) == "infected"; }));
  ExpectThatAllIsWell();
}

TEST_F(RedisTrouble, BackEmpty) {
  ExpectThatAllIsWell();
  const std::string known = NewInfected();
  ASSERT_THAT(Submit(api_.port(), known), HasStatus(202));
  EXPECT_EQ(VerdictOf(api_, known), "infected");
  redis_.Ask({"FLUSHALL"});
  redis_.Kill();
  ExpectThatScansGoOn();
  redis_.Start();
  ExpectThatAllIsWell();
  EXPECT_EQ(JobsInfo(api_, "dead_letters"), 0);
}

TEST_F(RedisTrouble, FlushedWhileItRuns) {
  ExpectThatAllIsWell();
  redis_.Ask({"FLUSHALL"});
  ExpectThatAllIsWell();
}

TEST_F(RedisTrouble, OutOfMemory) {
  ExpectThatAllIsWell();
  const std::string known = NewInfected();
  ASSERT_THAT(Post(all_.port(), "/v1/scan", known), HasVerdict("infected"));
  redis_.Ask({"CONFIG", "SET", "maxmemory", "1"});
  ExpectThatScansGoOn();
  ExpectThatSubmitsAreRefused("maxmemory");
  // What is known can still be read.
  EXPECT_THAT(Post(all_.port(), "/v1/scan", known), HasVerdict("infected"));
  redis_.Ask({"CONFIG", "SET", "maxmemory", "0"});
  ExpectThatAllIsWell();
}

TEST_F(RedisTrouble, TurnedReplica) {
  ExpectThatAllIsWell();
  redis_.Ask({"REPLICAOF", "127.0.0.1", "1"});  // nobody is there
  ExpectThatScansGoOn();
  ExpectThatSubmitsAreRefused("Redis");
  redis_.Ask({"REPLICAOF", "NO", "ONE"});
  ExpectThatAllIsWell();
}

TEST_F(RedisTrouble, NotThereAtTheStart) {
  redis_.Kill();
  FleetNode& late = Launch(WithOptions(redis_.Url()), "all");
  EXPECT_TRUE(Eventually(
      [&] { return testing::Value(Post(late.port(), "/v1/scan", EicarWithPrefix(1000)), HasVerdict("infected")); }));
  EXPECT_TRUE(Eventually([&] { return testing::Value(Submit(late.port(), NewClean()), IsRefusal("Redis")); }));
  redis_.Start();
  Tries tries;
  const std::string infected = NewInfected();
  EXPECT_TRUE(SubmitUntilTaken(late.port(), infected, tries));
  EXPECT_EQ(VerdictOf(late, infected), "infected");
  ExpectThatAllIsWell();
}

class RedisAdvice : public FleetTest {};

TEST_F(RedisAdvice, WarnsOfASetupThatLosesJobs) {
  const RedisProcess redis({.arguments = {"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}});
  const FleetNode& node = Launch(redis.Url(), "api");
  EXPECT_TRUE(node.process().WaitForLog("maxmemory-policy"));
  EXPECT_TRUE(node.process().WaitForLog("appendonly"));
}

TEST_F(RedisAdvice, IsSilentAboutAGoodOne) {
  const RedisProcess redis({.arguments = {"--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "1gb",
                                          "--maxmemory-policy", "volatile-lru"}});
  FleetNode& worker = Start(redis.Url(), "worker");
  FleetNode& api = Start(redis.Url(), "api");
  EXPECT_THAT(Post(api.port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  for (const FleetNode* node : {&worker, &api}) {
    EXPECT_THAT(node->Log(), Not(HasSubstr("maxmemory-policy")));
    EXPECT_THAT(node->Log(), Not(HasSubstr("appendonly")));
  }
}

}  // namespace
}  // namespace lazaret::tests
