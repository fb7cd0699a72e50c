// The job queue on a cluster that changes.
#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "fleet/job_keys.h"
#include "integration/redis_queue_fixture.h"
#include "redis/slot.h"

namespace lazaret::tests {
namespace {

using fleet::RedisQueueSettings;

std::uint16_t SlotOf(std::uint32_t shard) { return redis::SlotOf(fleet::ShardKeys(shard).stat()); }

class RedisQueueCluster : public testing::Test {
 protected:
  RedisQueueCluster() { settings_.shards = 8; }

  SystemClock clock_;
  RedisQueueSettings settings_;
};

TEST_F(RedisQueueCluster, ShardsAreOnAllMasters) {
  RedisCluster cluster;
  std::set<std::size_t> owners;
  for (std::uint32_t shard = 0; shard < settings_.shards; ++shard) owners.insert(cluster.OwnerOf(SlotOf(shard)));
  EXPECT_EQ(owners.size(), cluster.size());

  // Whichever has it, an urgent job goes first.
  QueueNode node(cluster.Url(), settings_, clock_);
  JobDriver jobs(*node, clock_);
  for (std::size_t i = 0; i < 20; ++i) jobs.Submit(SampleJob(i));
  for (std::size_t i = 20; i < 24; ++i) {
    const auto submitted = Await((*node).SubmitUrgent(SampleJob(i)));
    EXPECT_TRUE(submitted) << submitted.error().what;
  }
  for (std::size_t i = 20; i < 24; ++i) EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(i)->digest());
}

TEST_F(RedisQueueCluster, WhatReplicasHaveSurvivesTheirMaster) {
  RedisCluster cluster(3, true);
  settings_.wait_replicas = 1;
  QueueNode node(cluster.Url(), settings_, clock_);
  std::atomic<bool> enough = false;
  std::atomic<std::size_t> before = 0;
  std::atomic<std::size_t> after = 0;
  std::atomic<bool> killed = false;
  std::set<std::size_t> acknowledged;
  // The same content again until it is acknowledged, as a client does.
  std::jthread submitter([&] {
    for (std::size_t i = 0; !enough; ++i) {
      const auto submitted = Await((*node).Submit(SampleJob(i, i % 10 == 0 ? 600'000 : 100), std::nullopt));
      if (!submitted) {
        EXPECT_EQ(submitted.error().code, Errc::kUnavailable) << submitted.error().what;
        continue;
      }
      acknowledged.insert(i);
      ++(killed ? after : before);
    }
  });
  EXPECT_TRUE(Eventually([&] { return before > 100; }));
  const std::uint16_t slot = SlotOf(0);
  const std::size_t owner = cluster.OwnerOf(slot);
  cluster.node(owner).Kill();
  killed = true;
  EXPECT_TRUE(Eventually([&] { return cluster.OwnerOf(slot) != owner; }));
  // With the replica gone that it had, the new master has none: nothing is acknowledged there until it is back.
  cluster.node(owner).Start();
  const std::size_t until_now = after;
  EXPECT_TRUE(Eventually([&] { return after > until_now + 100; }));
  enough = true;
  submitter.join();
  JobDriver jobs(*node, clock_);
  std::set<Digest> left;
  for (const std::size_t i : acknowledged) left.insert(SampleJob(i, i % 10 == 0 ? 600'000 : 100)->digest());
  // The node may still have to notice who is whose master.
  EXPECT_TRUE(Eventually([&] {
    for (;;) {
      const auto job = Await((*node).Take(JobKind::kAny, clock_.SteadyNow()));
      if (!job || !*job) return left.empty();
      EXPECT_TRUE((*job)->content) << (*job)->content.error().what;
      left.erase((*job)->lease.id);
      jobs.Finish((*job)->lease);
    }
  }));
  EXPECT_EQ(left.size(), 0u) << "of " << acknowledged.size();
}

TEST_F(RedisQueueCluster, ASlotThatIsBeingMovedLosesNothing) {
  RedisCluster cluster;
  QueueNode node(cluster.Url(), settings_, clock_);
  JobDriver jobs(*node, clock_);
  // For what is tried while it can only fail.
  settings_.timeout = milliseconds(200);
  QueueNode hasty(cluster.Url(), settings_, clock_);
  std::map<std::size_t, ContentPtr> contents;
  for (std::size_t i = 0; contents.size() < 20; ++i) {
    const ContentPtr content = SampleJob(i, i % 2 == 0 ? 100 : 600'000);
    if (fleet::ShardOf(content->digest(), settings_.shards) == 0) contents.emplace(i, content);
  }
  for (const auto& [number, content] : contents) {
    if (number < contents.rbegin()->first) jobs.Submit(content);
  }
  const ContentPtr last = contents.rbegin()->second;
  const std::uint16_t slot = SlotOf(0);
  const std::size_t from = cluster.OwnerOf(slot);
  const std::size_t to = (from + 1) % cluster.size();
  const std::string number = std::to_string(slot);
  cluster.node(to).Ask({"CLUSTER", "SETSLOT", number, "IMPORTING", cluster.IdOf(from)});
  cluster.node(from).Ask({"CLUSTER", "SETSLOT", number, "MIGRATING", cluster.IdOf(to)});
  // Key by key; after each, whatever is tried is done or is not.
  for (;;) {
    const auto keys = cluster.node(from).Ask({"CLUSTER", "GETKEYSINSLOT", number, "1"});
    if (keys.elements().empty()) break;
    const std::string port = std::to_string(cluster.node(to).port());
    cluster.node(from).Ask({"MIGRATE", "127.0.0.1", port, keys.elements()[0].text(), "0", "5000"});
    const auto submitted = Await((*hasty).Submit(last, std::nullopt));
    if (!submitted) EXPECT_EQ(submitted.error().code, Errc::kUnavailable) << submitted.error().what;
    const auto taken = Await((*hasty).Take(JobKind::kAny, clock_.SteadyNow()));
    if (!taken) EXPECT_EQ(taken.error().code, Errc::kUnavailable) << taken.error().what;
    if (!taken || !*taken) continue;
    EXPECT_TRUE(Eventually([&] {
      const auto released = Await((*hasty).Release((*taken)->lease));
      return released || released.error().code == Errc::kNotFound;
    }));
  }
  for (const std::size_t one : {to, from}) {
    cluster.node(one).Ask({"CLUSTER", "SETSLOT", number, "NODE", cluster.IdOf(to)});
  }
  EXPECT_TRUE(Eventually([&] { return Await((*node).Submit(last, std::nullopt)).has_value(); }));
  EXPECT_EQ(cluster.OwnerOf(slot), to);
  std::multiset<Digest> taken;
  std::optional<LeasedJob> job;
  EXPECT_TRUE(Eventually([&] {
    while ((job = jobs.Take())) {
      EXPECT_TRUE(job->content);
      EXPECT_EQ(job->lost, 0u);
      taken.insert(job->lease.id);
      jobs.Finish(job->lease);
    }
    return taken.size() >= contents.size();
  }));
  EXPECT_EQ(taken.size(), contents.size());
  for (const auto& [i, content] : contents) EXPECT_EQ(taken.count(content->digest()), 1u) << i;
}

}  // namespace
}  // namespace lazaret::tests
