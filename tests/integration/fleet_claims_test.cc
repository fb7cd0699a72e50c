// The same content, given to several nodes at once, with claims in a real Redis.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <vector>

#include "integration/fleet_fixture.h"

namespace lazaret::tests {
namespace {

const EngineInfoPtr kSame = EngineBuiltAt(WallTime(seconds(1'763'881'200)), "same");

class FleetClaimsTest : public testing::Test {
 protected:
  void AddNodes(std::size_t count, FleetNode::Options options = {}) {
    for (std::size_t i = 0; i < count; ++i) nodes_.emplace_back(server_.Url(), kSame, options);
  }
  void Release(bool released) {
    for (FleetNode& node : nodes_) node.engine().released = released;
  }
  int Scans() {
    int scans = 0;
    for (FleetNode& node : nodes_) scans += node.engine().scans;
    return scans;
  }
  // The keys that are claims.
  std::size_t Claims() const { return server_.Ask({"KEYS", "lz:*:scan:*"}).elements().size(); }
  std::uint64_t RoundTrips() {
    std::uint64_t trips = 0;
    for (FleetNode& node : nodes_) trips += node.counters().round_trips;
    return trips;
  }

  RedisProcess server_;
  std::deque<FleetNode> nodes_;
};

TEST_F(FleetClaimsTest, OneContentIsScannedOnceByManyNodes) {
  AddNodes(6);
  for (int round = 0; round < 20; ++round) {
    const std::string text = "content " + std::to_string(round);
    std::vector<std::future<Result<Answer>>> answers;
    for (FleetNode& node : nodes_) {
      for (int i = 0; i < 3; ++i) answers.push_back(node.Submit(text));
    }
    for (auto& one : answers) {
      const auto answer = one.get();
      ASSERT_TRUE(answer) << answer.error().what;
      EXPECT_TRUE(answer->fresh);
    }
    ASSERT_EQ(Scans(), round + 1);
  }
  EXPECT_TRUE(Eventually([&] { return Claims() == 0; }));
}

TEST_F(FleetClaimsTest, AScanAndItsClaimTakeFourRoundTrips) {
  AddNodes(1);
  ASSERT_TRUE(nodes_[0].Scan("warms up"));
  ASSERT_TRUE(Eventually([&] { return Claims() == 0; }));
  const std::uint64_t before = RoundTrips();
  ASSERT_TRUE(nodes_[0].Scan("a"));
  ASSERT_TRUE(Eventually([&] { return RoundTrips() >= before + 4 && Claims() == 0; }));
  EXPECT_EQ(RoundTrips(), before + 4);  // find, claim, store, give up
}

TEST_F(FleetClaimsTest, AClaimIsRenewedForAsLongAsTheScanTakes) {
  AddNodes(2, {.lease = milliseconds(200)});
  Release(false);
  auto first = nodes_[0].Submit("a");
  ASSERT_TRUE(Eventually([&] { return nodes_[0].engine().scans == 1; }));
  auto second = nodes_[1].Submit("a");
  const auto renewed = [&]() -> std::uint64_t { return nodes_[0].counters().round_trips; };
  // Each renewal is a third of a lease after the one before.
  const std::uint64_t before = renewed();
  ASSERT_TRUE(Eventually([&] { return renewed() >= before + 9; }));
  EXPECT_EQ(nodes_[1].engine().scans, 0);
  Release(true);
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get().value().cached);
  EXPECT_EQ(Scans(), 1);
}

TEST_F(FleetClaimsTest, AClaimThatRedisHasForgottenIsMadeAgain) {
  AddNodes(2, {.lease = milliseconds(300)});
  Release(false);
  auto first = nodes_[0].Submit("a");
  ASSERT_TRUE(Eventually([&] { return Claims() == 1; }));
  server_.Ask({"FLUSHALL"});
  EXPECT_TRUE(Eventually([&] { return Claims() == 1; }));
  Release(true);
  EXPECT_TRUE(first.get());
}

// Scans `text` on a node of its own until it is killed.
[[noreturn]] void RunNode(const std::string& url, const std::string& text, milliseconds lease) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  FleetNode node(url, kSame, {.lease = lease});
  node.engine().released = false;
  node.Submit(text).wait();
  ::_exit(0);
}

TEST_F(FleetClaimsTest, WhatAKilledNodeScannedIsTakenOver) {
  constexpr milliseconds kLease{500};
  const pid_t child = ::fork();  // before this process has any thread
  ASSERT_GE(child, 0);
  if (child == 0) RunNode(server_.Url(), "a", kLease);
  ASSERT_TRUE(Eventually([&] { return Claims() == 1; }));
  AddNodes(3, {.lease = kLease});
  std::vector<std::future<Result<Answer>>> answers;
  for (FleetNode& node : nodes_) answers.push_back(node.Submit("a"));
  // All of them have asked several times, and nobody scans.
  ASSERT_TRUE(Eventually([&] { return RoundTrips() >= 3 * 6; }));
  EXPECT_EQ(Scans(), 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (auto& one : answers) EXPECT_TRUE(one.get());
  EXPECT_EQ(Scans(), 1);
}

TEST_F(FleetClaimsTest, AClaimIsGivenUpWhenNobodyWaitsForTheScan) {
  AddNodes(2, {.lease = std::chrono::hours(1)});
  Release(false);
  auto impatient = nodes_[0].Submit("a", In(milliseconds(50)));
  ASSERT_TRUE(Eventually([&] { return nodes_[0].engine().scans == 1; }));
  auto patient = nodes_[1].Submit("a");
  EXPECT_THAT(impatient.get(), FailsWith(Errc::kTimeout));
  ASSERT_TRUE(Eventually([&] { return nodes_[1].engine().scans == 1; })) << "within far less than the lease";
  Release(true);
  EXPECT_TRUE(patient.get());
}

TEST_F(FleetClaimsTest, AllScanWhenRedisIsKilledMeanwhile) {
  AddNodes(3, {.lease = std::chrono::hours(1)});
  Release(false);
  std::vector<std::future<Result<Answer>>> answers;
  for (FleetNode& node : nodes_) answers.push_back(node.Submit("a"));
  ASSERT_TRUE(Eventually([&] { return Scans() == 1; }));
  server_.Kill();
  EXPECT_TRUE(Eventually([&] { return Scans() == 3; }));
  Release(true);
  for (auto& one : answers) EXPECT_TRUE(one.get());
}

TEST_F(FleetClaimsTest, AllScanWhenRedisStandsStillMeanwhile) {
  AddNodes(3, {.lease = std::chrono::hours(1)});
  Release(false);
  std::vector<std::future<Result<Answer>>> answers;
  for (FleetNode& node : nodes_) answers.push_back(node.Submit("a"));
  ASSERT_TRUE(Eventually([&] { return Scans() == 1; }));
  server_.Stop();
  EXPECT_TRUE(Eventually([&] { return Scans() == 3; }));
  Release(true);
  for (auto& one : answers) EXPECT_TRUE(one.get());
  server_.Continue();
}

TEST_F(FleetClaimsTest, AllScanWhenRedisHasNoMemory) {
  AddNodes(2);
  server_.Ask({"CONFIG", "SET", "maxmemory", "1"});
  Release(false);
  auto first = nodes_[0].Submit("a");
  auto second = nodes_[1].Submit("a");
  EXPECT_TRUE(Eventually([&] { return Scans() == 2; }));
  Release(true);
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
}

}  // namespace
}  // namespace lazaret::tests
