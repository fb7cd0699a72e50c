// A master of Redis dies while files are submitted, and a replica that did not have everything takes its place. What
// was acknowledged may be lost then, which is what Redis promises; with redis.wait_replicas it is not.
//
// It takes (LAZARET_ is the prefix of the server's own settings)
//   FAILOVER_FILES  files that are submitted (default 300; the full run has 5000)
//   FLEET_SEED      of everything that is random (default: another one each time; it is printed)
#include <functional>
#include <iostream>
#include <random>

#include <fmt/format.h>

#include "chaos/fleet_load.h"
#include "redis/slot.h"

namespace lazaret::tests {
namespace {

constexpr std::size_t kWorkers = 3;
// Acknowledgements, or refusals, while the replica stands still: enough to fall into the dead master's part.
constexpr std::size_t kInTheGap = 60;

class FleetFailover : public FleetTest, public testing::WithParamInterface<int> {
 protected:
  FleetFailover() {
    std::cout << fmt::format("{} files, redis.wait_replicas={}, FLEET_SEED={}\n", files_, wait(), seed_);
  }

  static int wait() { return GetParam(); }

  // Submits everything; when a third is acknowledged `master` dies, `replica` having stood still for a while, and comes
  // back when `has_failed_over` says that it has been replaced.
  void SubmitAcross(const std::string& url, RedisProcess& master, RedisProcess& replica,
                    const std::function<bool()>& has_failed_over) {
    const std::vector<std::string> waiting = {"--set", fmt::format("redis.wait_replicas={}", wait()), "--set",
                                              "redis.wait_timeout=200ms"};
    for (std::size_t i = 0; i < kWorkers; ++i) Start(url, "worker", waiting);
    FleetNode& one = Start(url, "api", waiting);
    FleetNode& other = Start(url, "api", waiting);
    FleetLoad load(seed_, {one.port(), other.port()});
    const auto files = static_cast<unsigned>(files_);
    load.Begin(0, files);
    ASSERT_TRUE(Eventually([&] { return load.acknowledged() >= files / 3; }));

    // What is on its way to a replica that stands still it reads later: it has to be cut off as well.
    replica.Stop();
    master.Ask({"CLIENT", "KILL", "TYPE", "replica"});
    const std::size_t begin = load.acknowledged() + load.refused();
    EXPECT_TRUE(Eventually(
        [&] { return load.acknowledged() + load.refused() >= begin + kInTheGap || load.acknowledged() >= files; }));
    master.Kill();
    replica.Continue();
    ASSERT_TRUE(Eventually(has_failed_over));
    master.Start();  // as a replica of its successor
    load.Join();

    const auto tally = load.Verify();
    EXPECT_EQ(tally.wrong + tally.unfinished, 0);
    EXPECT_EQ(tally.answered + tally.clean + tally.infected + tally.lost.size(), files);
    if (wait() > 0) EXPECT_THAT(tally.lost, testing::IsEmpty());
    std::cout << fmt::format(
        "{} submitted: {} answered at once, {} promised: {} done ({} clean, {} infected), {} lost; {} refused, {} cut "
        "off\n",
        files, tally.answered, files - tally.answered, tally.clean + tally.infected, tally.clean, tally.infected,
        tally.lost.size(), load.refused(), load.cut_off());
    // Nobody had to do anything for it to go on, and what was lost can be submitted again.
    FleetLoad again(seed_, {one.port(), other.port()});
    again.Begin(0, files + 50);
    again.Join();
    const auto in_the_end = again.Verify();
    EXPECT_THAT(in_the_end.lost, testing::IsEmpty());
    EXPECT_EQ(in_the_end.answered + in_the_end.clean + in_the_end.infected, files + 50);
  }

  const std::uint64_t files_ = FromEnvironment("FAILOVER_FILES", 300);
  const std::uint64_t seed_ = FromEnvironment("FLEET_SEED", std::random_device{}());
};

TEST_P(FleetFailover, OfAMasterOfACluster) {
  RedisCluster cluster(3, true);
  const std::uint16_t slot = redis::SlotOf("{q0}");
  const std::size_t master = cluster.OwnerOf(slot);
  SubmitAcross(WithOptions(cluster.Url()), cluster.node(master), cluster.node(master + cluster.size() / 2),
               [&] { return cluster.OwnerOf(slot) != master && cluster.WaitUntilOk(); });
}

TEST_P(FleetFailover, OfTheMasterBehindSentinels) {
  RedisSentinels sentinels;
  const std::uint16_t before = sentinels.MasterPort();
  SubmitAcross(WithOptions(sentinels.Url()), sentinels.master(), sentinels.replica(), [&] {
    return sentinels.MasterPort() != before &&
           sentinels.replica().Ask({"INFO", "replication"}).text().find("role:master") != std::string::npos;
  });
}

INSTANTIATE_TEST_SUITE_P(WaitReplicas, FleetFailover, testing::Values(0, 1),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace lazaret::tests
