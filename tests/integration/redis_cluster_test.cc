// The client against a cluster of redis-servers.
#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "integration/redis_fixture.h"
#include "integration/redis_process.h"
#include "redis/slot.h"

namespace lazaret::tests {
namespace {

using redis::Command;
using redis::Reply;

std::string KeyIn(std::uint16_t first, std::uint16_t last, int number = 0) {
  for (int i = number * 100'000;; ++i) {
    std::string key = fmt::format("key{}", i);
    if (const auto slot = redis::SlotOf(key); slot >= first && slot <= last) return key;
  }
}

// One cluster for the tests that leave it as they find it.
class RedisClusterTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }

  static std::string IdOf(std::size_t node) { return cluster_->IdOf(node); }
  static void SetSlot(std::size_t node, std::uint16_t slot, std::vector<std::string> how) {
    std::vector<std::string> command = {"CLUSTER", "SETSLOT", std::to_string(slot)};
    command.insert(command.end(), how.begin(), how.end());
    const Reply reply = cluster_->node(node).Ask(command);
    ASSERT_EQ(reply.text(), "OK");
  }
  // Begins to move `slot` from one node to another.
  static void BeginMove(std::uint16_t slot, std::size_t from, std::size_t to) {
    SetSlot(to, slot, {"IMPORTING", IdOf(from)});
    SetSlot(from, slot, {"MIGRATING", IdOf(to)});
  }
  static void MoveKey(const std::string& key, std::size_t from, std::size_t to) {
    const Reply reply =
        cluster_->node(from).Ask({"MIGRATE", "127.0.0.1", std::to_string(cluster_->node(to).port()), key, "0", "5000"});
    ASSERT_EQ(reply.text(), "OK");
  }
  static void EndMove(std::uint16_t slot, std::size_t from, std::size_t to) {
    for (const std::size_t node : {to, from}) SetSlot(node, slot, {"NODE", IdOf(to)});
    ASSERT_TRUE(Eventually([&] { return cluster_->OwnerOf(slot) == to; }));
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
};

TEST_F(RedisClusterTest, BringsEachKeyToItsMaster) {
  RunningClient client(cluster_->Url());
  for (int i = 0; i < 100; ++i) {
    const std::string key = fmt::format("each{}", i);
    EXPECT_THAT(client.Ask(key, {"SET", key, key}), Answers(Reply::Status("OK")));
    EXPECT_THAT(client.Ask(key, {"GET", key}), Answers(Reply::Bulk(key)));
  }
  EXPECT_EQ(client.counters().redirections, 0u);
  EXPECT_EQ(client.counters().round_trips, 200u);
  EXPECT_EQ(client.counters().up, 3u);
}

TEST_F(RedisClusterTest, FindsTheOthersThroughOneNode) {
  RunningClient client(fmt::format("redis+cluster://127.0.0.1:{},127.0.0.1:{}", FreePort(), cluster_->node(1).port()));
  for (int i = 0; i < 20; ++i) {
    const std::string key = fmt::format("each{}", i);
    EXPECT_TRUE(client.Ask(key, {"SET", key, key}));
  }
}

TEST_F(RedisClusterTest, RunsScriptsAndGroupsOnOneSlot) {
  RunningClient client(cluster_->Url());
  const redis::Script script("redis.call('SET', KEYS[1], ARGV[1]); return redis.call('GET', KEYS[2])");
  EXPECT_THAT(client.Run(client->Eval(script, {"{tag}a", "{tag}a"}, {"value"}, {.deadline = Soon()})),
              Answers(Reply::Bulk("value")));
  const std::vector<Command> group = {{"GET", "{tag}a"}, {"DEL", "{tag}a"}, {"GET", "{tag}a"}};
  const auto results = client.Run(client->CallAll("{tag}a", group, {.deadline = Soon()}));
  EXPECT_THAT(results[0], Answers(Reply::Bulk("value")));
  EXPECT_THAT(results[2], Answers(Reply()));
}

TEST_F(RedisClusterTest, FollowsASlotThatIsBeingMoved) {
  const std::uint16_t slot = redis::SlotOf("{moving}");
  const std::size_t from = cluster_->OwnerOf(slot);
  const std::size_t to = (from + 1) % 3;
  RunningClient client(cluster_->Url());
  ASSERT_TRUE(client.Ask("{moving}1", {"SET", "{moving}1", "one"}));
  ASSERT_TRUE(client.Ask("{moving}2", {"SET", "{moving}2", "two"}));
  ASSERT_EQ(client.counters().redirections, 0u);
  BeginMove(slot, from, to);
  MoveKey("{moving}1", from, to);

  // ASK, for this once: the other key is still where it was.
  EXPECT_THAT(client.Ask("{moving}1", {"GET", "{moving}1"}), Answers(Reply::Bulk("one")));
  EXPECT_EQ(client.counters().redirections, 1u);
  EXPECT_THAT(client.Ask("{moving}2", {"GET", "{moving}2"}), Answers(Reply::Bulk("two")));
  EXPECT_EQ(client.counters().redirections, 1u);
  // A group of both: each goes where its key is.
  const std::vector<Command> group = {{"GET", "{moving}1"}, {"GET", "{moving}2"}, {"APPEND", "{moving}1", "!"}};
  const auto results = client.Run(client->CallAll("{moving}1", group, {.deadline = Soon()}));
  EXPECT_THAT(results[0], Answers(Reply::Bulk("one")));
  EXPECT_THAT(results[1], Answers(Reply::Bulk("two")));
  EXPECT_THAT(results[2], Answers(Reply::Integer(4)));
  // A command on both: TRYAGAIN until they are together.
  const Command both = {"MGET", "{moving}1", "{moving}2"};
  EXPECT_THAT(client.Ask("{moving}1", both, In(milliseconds(500))), FailsWith(Errc::kUnavailable, "TRYAGAIN"));
  auto patient = client.io().Spawn(client->Call("{moving}1", both, {.deadline = Soon()}));
  const std::uint64_t retries = client.counters().retries;
  EXPECT_TRUE(Eventually([&] { return client.counters().retries > retries; }));
  MoveKey("{moving}2", from, to);
  EXPECT_THAT(patient.get(), Answers(Reply::Array({Reply::Bulk("one!"), Reply::Bulk("two")})));

  // MOVED, and then it is known.
  EndMove(slot, from, to);
  EXPECT_THAT(client.Ask("{moving}1", {"GET", "{moving}1"}), Answers(Reply::Bulk("one!")));
  const std::uint64_t redirections = client.counters().redirections;
  EXPECT_THAT(client.Ask("{moving}2", {"GET", "{moving}2"}), Answers(Reply::Bulk("two")));
  EXPECT_EQ(client.counters().redirections, redirections);
}

TEST_F(RedisClusterTest, LearnsOfMovedSlotsByATimer) {
  const std::uint16_t slot = redis::SlotOf("{timer}");
  const std::size_t from = cluster_->OwnerOf(slot);
  auto settings = RunningClient::Quick();
  settings.refresh_topology = milliseconds(20);
  RunningClient client(cluster_->Url(), settings);
  ASSERT_TRUE(client.Ask("{timer}", {"SET", "{timer}", "x"}));
  const std::size_t to = (from + 2) % 3;
  BeginMove(slot, from, to);
  MoveKey("{timer}", from, to);
  EndMove(slot, from, to);
  ASSERT_TRUE(Eventually([&] {
    for (int node = 0; node < 3; ++node) {
      for (const Reply& range : cluster_->node(node).Ask({"CLUSTER", "SLOTS"}).elements()) {
        const bool has = range.elements()[0].integer() <= slot && slot <= range.elements()[1].integer();
        if (has && range.elements()[2].elements()[1].integer() != cluster_->node(to).port()) return false;
      }
    }
    return true;
  }));
  const std::uint64_t refreshes = client.counters().refreshes;
  ASSERT_TRUE(Eventually([&] { return client.counters().refreshes > refreshes + 1; }));
  const std::uint64_t redirections = client.counters().redirections;
  EXPECT_TRUE(client.Ask("{timer}", {"GET", "{timer}"}));
  EXPECT_EQ(client.counters().redirections, redirections);
}

TEST_F(RedisClusterTest, GivesUpWhenItIsSentInCircles) {
  const std::uint16_t slot = redis::SlotOf("{circle}");
  const std::size_t from = cluster_->OwnerOf(slot);
  const std::size_t to = (from + 1) % 3;
  RunningClient client(cluster_->Url());
  ASSERT_TRUE(client.Ask("{circle}", {"PING"}));
  // It says ASK, and the other, which does not know that it is being moved there, MOVED.
  SetSlot(to, slot, {"STABLE"});
  SetSlot(from, slot, {"MIGRATING", IdOf(to)});
  EXPECT_THAT(client.Ask("{circle}", {"GET", "{circle}"}), FailsWith(Errc::kUnavailable));
  EXPECT_EQ(client.counters().redirections, 8u);
  SetSlot(from, slot, {"STABLE"});
}

TEST_F(RedisClusterTest, BlocksOnTheRightNode) {
  RunningClient client(cluster_->Url());
  auto blocked = client.io().Spawn(client->CallBlocking("{list}", {"BLPOP", "{list}", "0"}, Soon()));
  auto& node = cluster_->node(cluster_->OwnerOf(redis::SlotOf("{list}")));
  ASSERT_TRUE(
      Eventually([&] { return node.Ask({"INFO", "clients"}).text().find("blocked_clients:1") != std::string::npos; }));
  ASSERT_TRUE(client.Ask("{list}", {"RPUSH", "{list}", "item"}));
  EXPECT_THAT(blocked.get(), Answers(Reply::Array({Reply::Bulk("{list}"), Reply::Bulk("item")})));
}

TEST(RedisClusterDown, FailsAtOnceWhenNoNodeIsThere) {
  RunningClient client(fmt::format("redis+cluster://127.0.0.1:{},127.0.0.1:{}", FreePort(), FreePort()));
  EXPECT_THAT(client.Ask("key", {"GET", "key"}), FailsWith(Errc::kUnavailable));
}

TEST(RedisClusterDown, SaysThatAServerIsNoCluster) {
  RedisProcess server;
  RunningClient client(fmt::format("redis+cluster://127.0.0.1:{}", server.port()));
  EXPECT_THAT(client.Ask("key", {"GET", "key"}), FailsWith(Errc::kUnavailable, "cluster support disabled"));
}

// Increments in every third of the slots while the cluster changes; counts what was acknowledged.
class Traffic {
 public:
  explicit Traffic(RunningClient& client) : client_(client) {
    for (int third = 0; third < 3; ++third) {
      const auto first = static_cast<std::uint16_t>(third * 5461);
      keys_.push_back(KeyIn(first, static_cast<std::uint16_t>(first + 5000)));
      tasks_.push_back(client.io().Spawn(Increment(keys_.back(), acknowledged_[third], uncertain_[third])));
    }
  }
  ~Traffic() {
    stop_ = true;
    for (auto& task : tasks_) {
      if (task.valid()) task.get();
    }
  }
  std::uint64_t acknowledged(int third) const { return acknowledged_[third]; }
  bool GoesOn() const {
    std::uint64_t before[3];
    for (int i = 0; i < 3; ++i) before[i] = acknowledged_[i];
    return Eventually([&] {
      return std::ranges::equal(before, acknowledged_, [](std::uint64_t a, const auto& b) { return b > a + 10; });
    });
  }
  // No increment is lost, and none is made twice that was not answered for with an uncertain error.
  void End() {
    stop_ = true;
    for (auto& task : tasks_) task.get();
    for (int i = 0; i < 3; ++i) {
      const auto value = client_.Ask(keys_[i], {"GET", keys_[i]});
      ASSERT_TRUE(value) << value.error().what;
      EXPECT_GE(std::stoull(value->text()), acknowledged_[i].load());
      EXPECT_LE(std::stoull(value->text()), acknowledged_[i] + uncertain_[i]);
    }
  }

 private:
  aio::Task<bool> Increment(std::string key, std::atomic<std::uint64_t>& acknowledged,
                            std::atomic<std::uint64_t>& uncertain) {
    while (!stop_) {
      const auto reply = co_await client_->Call(key, {"INCR", key}, {.deadline = In(seconds(2))});
      if (reply) {
        ++acknowledged;
      } else if (reply.error().code != Errc::kUnavailable) {
        ++uncertain;
      }
    }
    co_return true;
  }

  RunningClient& client_;
  std::vector<std::string> keys_;
  std::atomic<std::uint64_t> acknowledged_[3] = {};
  std::atomic<std::uint64_t> uncertain_[3] = {};
  std::atomic<bool> stop_ = false;
  std::vector<std::future<bool>> tasks_;
};

TEST(RedisClusterFailover, FollowsAMasterThatIsReplacedAndOneThatIsKilled) {
  RedisCluster cluster(3, true);
  RunningClient client(cluster.Url());
  Traffic traffic(client);
  ASSERT_TRUE(traffic.GoesOn());

  // By hand: the replica takes over with everything that the master had.
  ASSERT_EQ(cluster.node(3).Ask({"CLUSTER", "FAILOVER"}).text(), "OK");
  ASSERT_TRUE(Eventually([&] { return cluster.OwnerOf(0) == 3; }));
  EXPECT_TRUE(traffic.GoesOn());

  // Killed: the others notice and let its replica take over. It has what was acknowledged, as nothing was under way.
  traffic.End();
  ASSERT_TRUE(Eventually([&] {
    return cluster.node(4).Ask({"INFO", "replication"}).text().find("master_link_status:up") != std::string::npos;
  }));
  cluster.node(1).Ask({"WAIT", "1", "5000"});
  cluster.node(1).Kill();
  const std::string key = KeyIn(5461, 10'000);
  EXPECT_TRUE(client.Succeeds(key, {"INCR", key}));
  EXPECT_TRUE(Eventually([&] { return cluster.OwnerOf(redis::SlotOf(key)) == 4; }));
  const std::string other = KeyIn(11'000, 16'000);
  EXPECT_TRUE(client.Ask(other, {"INCR", other}));
}

}  // namespace
}  // namespace lazaret::tests
