// The job queue while Redis and its nodes fail.
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "fleet/job_keys.h"
#include "fleet/job_scripts.h"
#include "integration/redis_queue_fixture.h"

namespace lazaret::tests {
namespace {

using fleet::RedisQueueSettings;

constexpr std::uint64_t kChunk = 512 * 1024;

class RedisQueueFaults : public testing::Test {
 protected:
  void StartServer(std::vector<std::string> arguments = {}) {
    server_ = std::make_unique<RedisProcess>(RedisOptions{.arguments = std::move(arguments)});
  }
  std::unique_ptr<QueueNode> MakeNode() { return std::make_unique<QueueNode>(server_->Url(), settings_, clock_); }
  std::size_t KeysLike(const std::string& pattern) const { return server_->Ask({"KEYS", pattern}).elements().size(); }
  // As a worker does it: goes on after errors.
  aio::Task<std::optional<LeasedJob>> TakeInTheEnd(fleet::RedisJobQueue& queue) {
    for (;;) {
      auto job = co_await queue.Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1));
      if (job && *job) co_return *std::move(job);
    }
  }
  bool SubmitsInTheEnd(fleet::RedisJobQueue& queue, const ContentPtr& content) {
    return Eventually([&] { return Await(queue.Submit(content, std::nullopt)).has_value(); });
  }

  std::unique_ptr<RedisProcess> server_;
  SystemClock clock_;
  RedisQueueSettings settings_;
};

TEST_F(RedisQueueFaults, ASubmitThatWasCutShortIsCompletedByTheNext) {
  StartServer();
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  const ContentPtr content = SampleJob(1, 20 * kChunk);
  for (int round = 0; round < 40; ++round) {
    std::atomic<bool> ended = false;
    // All connections break, at another moment each time.
    std::jthread breaker([&] {
      Pause(milliseconds(round % 20));
      if (!ended) server_->Ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    });
    const auto first = Await((**node).Submit(content, std::nullopt));
    ended = true;
    breaker.join();
    if (!first) EXPECT_EQ(first.error().code, Errc::kUnavailable) << first.error().what;
    ASSERT_TRUE(SubmitsInTheEnd(**node, content));
    const auto job = node->client().Run(TakeInTheEnd(**node));
    ASSERT_TRUE(job->content) << job->content.error().what;
    EXPECT_EQ((*job->content)->size(), content->size());
    EXPECT_TRUE(Eventually([&] {
      const auto done = Await((**node).Finish(job->lease, SampleClean(clock_), JobState::kDone));
      return done || done.error().code == Errc::kNotFound;
    }));
  }
  EXPECT_GT(node->client().counters().lost, 0u) << "no submit was cut short";
  // What is left of those that were has an end.
  for (const auto& key : server_->Ask({"KEYS", "*content*"}).elements()) {
    EXPECT_GT(server_->Ask({"PTTL", key.text()}).integer(), 0);
  }
}

TEST_F(RedisQueueFaults, ChunksThatAreForgottenAreNoContent) {
  StartServer();
  settings_.chunk_ttl = milliseconds(1);
  const auto node = MakeNode();
  const ContentPtr content = SampleJob(1, 40 * kChunk);
  const auto refused = Await((**node).Submit(content, std::nullopt));
  EXPECT_THAT(refused, FailsWith(Errc::kUnavailable, "submit it again"));
  EXPECT_FALSE(JobDriver(**node, clock_).Find(content->digest()));
  EXPECT_EQ((**node).Counts().bytes, 0u);
}

TEST_F(RedisQueueFaults, WhatIsForgottenAfterTheAnswerIsGivenBack) {
  StartServer();
  settings_.timeout = milliseconds(300);
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  jobs.SubmitAndFinish(SampleJob(1));
  jobs.Submit(SampleJob(2));
  // Redis takes the job for somebody who has given up when it does.
  server_->Stop();
  const auto taken = Await((**node).Take(JobKind::kAny, clock_.SteadyNow()));
  EXPECT_THAT(taken, FailsWith(Errc::kUnavailable, "nobody knows"));
  server_->Continue();
  const auto job = node->client().Run(TakeInTheEnd(**node));
  ASSERT_TRUE(job);
  EXPECT_EQ(job->lease.id, SampleJob(2)->digest());
  EXPECT_EQ(job->lost, 0u);
}

TEST_F(RedisQueueFaults, AnEndThatComesTwiceIsOneEnd) {
  StartServer();
  settings_.refresh = std::chrono::hours(1);
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  jobs.Submit(SampleJob(1), Callback{"https://a.example/", ""});
  const Lease lease = jobs.MustTake().lease;
  // As the client repeats it when a connection was lost behind it.
  const fleet::JobScripts scripts;
  const auto run = [&](const redis::Script& script, const std::string& call, std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "1000000", "1000000", "10", "10", "10", "0", lease.id.Hex(), std::to_string(lease.token), call};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto reply = node->client().Run(
        node->client()->Eval(script, fleet::ShardKeys(0).all(), std::move(arguments), {.deadline = Soon()}));
    return reply->elements()[0].integer();
  };
  EXPECT_EQ(run(scripts.finish, "aa", {"3", "verdict", ""}), 1);
  EXPECT_EQ(run(scripts.finish, "aa", {"3", "verdict", ""}), 1);
  EXPECT_EQ(run(scripts.finish, "bb", {"3", "verdict", ""}), 0);
  EXPECT_EQ(server_->Ask({"ZCARD", "lz:{q0}:outbox"}).integer(), 1);
  EXPECT_EQ(server_->Ask({"ZCARD", "lz:{q0}:done"}).integer(), 1);
}

TEST_F(RedisQueueFaults, ASubmitThatComesTwiceKeepsItsContent) {
  StartServer();
  settings_.refresh = std::chrono::hours(1);
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  const ContentPtr content = SampleJob(1, 2 * kChunk);
  jobs.Submit(content);
  const std::string place = server_->Ask({"HGET", fleet::ShardKeys(0).Job(content->digest()), "place"}).text();
  const fleet::JobScripts scripts;
  const auto submit_again = [&] {
    std::vector<std::string> arguments = {"1000000",
                                          "1000000",
                                          "10",
                                          "10",
                                          "100000000",
                                          "0",
                                          content->digest().Hex(),
                                          std::to_string(content->size()),
                                          "small",
                                          place,
                                          "",
                                          "",
                                          "16",
                                          "100",
                                          "100",
                                          "100000000"};
    const auto reply = node->client().Run(
        node->client()->Eval(scripts.submit, fleet::ShardKeys(0).all(), std::move(arguments), {.deadline = Soon()}));
    return reply ? reply->elements()[0].integer() : -1;
  };
  EXPECT_EQ(submit_again(), 1) << "what it has written must not be taken for needless";
  LeasedJob job = jobs.MustTake();
  ASSERT_TRUE(job.content) << job.content.error().what;
  EXPECT_EQ(submit_again(), 1);
  jobs.Finish(job.lease, JobState::kDead);
  EXPECT_EQ(submit_again(), 1);
  EXPECT_EQ(jobs.MustFind(content->digest()).state, JobState::kDead);
  EXPECT_EQ(KeysLike("*content*"), 2u);
  JobDriver::Expect((**node).Revive(content->digest()));
  job = jobs.MustTake();
  ASSERT_TRUE(job.content) << job.content.error().what;
  jobs.Finish(job.lease);
  EXPECT_EQ(submit_again(), 6) << "its chunks have gone";
}

TEST_F(RedisQueueFaults, AJobWhosePlaceIsDamagedHasAnEnd) {
  StartServer();
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (const char* place : {"c:zz", "x", "c:00ff:9"}) {
    jobs.Submit(SampleJob(1));
    server_->Ask({"HSET", fleet::ShardKeys(0).Job(SampleJob(1)->digest()), "place", place});
    const LeasedJob job = jobs.MustTake();
    EXPECT_THAT(job.content, FailsWith(Errc::kCorrupt));
    jobs.Finish(job.lease);
  }
}

TEST_F(RedisQueueFaults, NothingAcknowledgedIsLostByARestart) {
  StartServer({"--appendonly", "yes", "--appendfsync", "always"});
  settings_.shards = 2;
  const auto node = MakeNode();
  std::atomic<bool> enough = false;
  std::set<std::size_t> acknowledged;
  std::atomic<std::size_t> count = 0;
  std::jthread submitter([&] {
    for (std::size_t i = 0; !enough; ++i) {
      const auto submitted = Await((**node).Submit(SampleJob(i, i % 20 == 0 ? 2 * kChunk : 100), std::nullopt));
      if (submitted) acknowledged.insert(i);
      count = acknowledged.size();
      if (!submitted) EXPECT_EQ(submitted.error().code, Errc::kUnavailable) << submitted.error().what;
    }
  });
  for (std::size_t kills = 1; kills <= 3; ++kills) {
    while (count < kills * 40) Pause(milliseconds(5));
    server_->Kill();
    server_->Start();
  }
  enough = true;
  submitter.join();
  std::set<Digest> left;
  for (const std::size_t i : acknowledged) left.insert(SampleJob(i, i % 20 == 0 ? 2 * kChunk : 100)->digest());
  JobDriver jobs(**node, clock_);
  while (!left.empty()) {
    std::optional<LeasedJob> job;
    // Redis has just come back: the node may still have to notice.
    ASSERT_TRUE(Eventually([&] {
      auto taken = Await((**node).Take(JobKind::kAny, clock_.SteadyNow()));
      if (taken) job = *std::move(taken);
      return taken.has_value();
    }));
    ASSERT_TRUE(job) << left.size() << " are lost";
    ASSERT_TRUE(job->content) << job->content.error().what;
    EXPECT_EQ(job->lost, 0u);
    left.erase(job->lease.id);
    jobs.Finish(job->lease);
  }
}

TEST_F(RedisQueueFaults, ARedisThatHasForgottenEverythingWorks) {
  StartServer();
  settings_.shards = 2;
  const auto node = MakeNode();
  for (const bool restarts : {true, false, true, false}) {
    JobDriver(**node, clock_).SubmitAndFinish(SampleJob(1));
    const Lease lost = [&] {
      JobDriver(**node, clock_).Submit(SampleJob(2));
      return JobDriver(**node, clock_).MustTake().lease;
    }();
    auto taken = node->client().io().Spawn(TakeInTheEnd(**node));
    EXPECT_TRUE(
        Eventually([&] { return server_->Ask({"CLIENT", "LIST"}).text().find("cmd=xread") != std::string::npos; }));
    if (restarts) {
      server_->Kill();
      server_->Start();
    } else {
      server_->Ask({"FLUSHALL"});
      server_->Ask({"SCRIPT", "FLUSH"});
    }
    const ContentPtr content = SampleJob(3, 2 * kChunk);
    ASSERT_TRUE(SubmitsInTheEnd(**node, content));
    const auto job = taken.get();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->lease.id, content->digest());
    EXPECT_EQ(JobDriver::ErrorOf((**node).Finish(lost, SampleClean(clock_), JobState::kDone)), Errc::kNotFound);
    JobDriver(**node, clock_).Finish(job->lease);
    EXPECT_TRUE(Eventually([&] { return server_->Ask({"EXISTS", fleet::kShardsKey}).integer() == 1; }));
  }
}

TEST_F(RedisQueueFaults, AGroupThatWasDestroyedComesBack) {
  StartServer();
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  const std::string stream = fleet::ShardKeys(0).small();
  for (std::size_t i = 0; i < 3; ++i) jobs.Submit(SampleJob(i));
  const Lease first = jobs.MustTake().lease;
  const Lease second = jobs.MustTake().lease;
  server_->Ask({"XGROUP", "DESTROY", stream, "workers"});
  JobDriver::Expect((**node).Renew(first));
  JobDriver::Expect((**node).Release(second));
  server_->Ask({"XGROUP", "DESTROY", stream, "workers"});
  EXPECT_EQ(jobs.MustTake().lease.id, second.id);
  jobs.Finish(first);
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(2)->digest());
  EXPECT_FALSE(jobs.Take());
}

TEST_F(RedisQueueFaults, AJobThatWasEvictedDoesNotHoldTheOthersUp) {
  StartServer();
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 3; ++i) jobs.Submit(SampleJob(i));
  server_->Ask({"DEL", fleet::ShardKeys(0).Job(SampleJob(0)->digest())});
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(1)->digest());
  server_->Ask({"DEL", fleet::ShardKeys(0).Job(SampleJob(1)->digest())});
  const Lease last = jobs.MustTake().lease;
  EXPECT_EQ(last.id, SampleJob(2)->digest());
  jobs.Finish(last);
  EXPECT_FALSE(jobs.Take());
  EXPECT_EQ(server_->Ask({"XLEN", fleet::ShardKeys(0).small()}).integer(), 1) << "the one whose lease runs still";
}

TEST_F(RedisQueueFaults, WhatIsKnownOfAShardIsFoundOutAnewWhenItIsLost) {
  StartServer();
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 3; ++i) jobs.Submit(SampleJob(i));
  const Lease first = jobs.MustTake().lease;
  server_->Ask({"DEL", fleet::ShardKeys(0).stat()});
  jobs.Finish(first);
  std::set<Digest> taken;
  while (taken.size() < 2) {
    if (const auto job = jobs.Take()) {
      taken.insert(job->lease.id);
      jobs.Finish(job->lease);
    }
  }
  EXPECT_THAT(taken, testing::UnorderedElementsAre(SampleJob(1)->digest(), SampleJob(2)->digest()));
}

TEST_F(RedisQueueFaults, AFullRedisTakesNothingInAndCanBeEmptied) {
  StartServer();
  settings_.refresh = std::chrono::hours(1);
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  jobs.SubmitAndFinish(SampleJob(1), JobState::kDead);
  jobs.Submit(SampleJob(2), Callback{"https://a.example/", ""});
  jobs.Submit(SampleJob(3));
  jobs.Submit(SampleJob(4));
  const auto keys = [&] { return server_->Ask({"DBSIZE"}).integer(); };
  const auto before = keys();
  server_->Ask({"CONFIG", "SET", "maxmemory", "1mb"});
  for (const ContentPtr& content : {SampleJob(9), SampleJob(9, 60'000), SampleJob(9, 5 * kChunk)}) {
    const auto refused = Await((**node).Submit(content, Callback{"https://a.example/", ""}));
    EXPECT_THAT(refused, FailsWith(Errc::kOverloaded, "maxmemory"));
  }
  EXPECT_EQ(jobs.SubmitError(SampleJob(1)), Errc::kOverloaded) << "the dead letter would begin again";
  EXPECT_EQ(JobDriver::ErrorOf((**node).Revive(SampleJob(1)->digest())), Errc::kOverloaded);
  EXPECT_TRUE(jobs.MustFind(SampleJob(1)->digest()).has_content);
  EXPECT_EQ(JobDriver::ErrorOf((**node).Add(SampleDigest(1), SampleClean(clock_), {"https://a.example/", ""})),
            Errc::kOverloaded);
  EXPECT_EQ(keys(), before);
  EXPECT_EQ(jobs.Submit(SampleJob(2)), Submitted::kAttached) << "that needs nothing";
  // Work goes on.
  const Lease lease = jobs.MustTake().lease;
  JobDriver::Expect((**node).Renew(lease));
  jobs.Finish(lease);
  JobDriver::Expect((**node).Retry(jobs.MustTake().lease, milliseconds(0), "crashed"));
  JobDriver::Expect((**node).Release(jobs.MustTake().lease));
  jobs.Finish(jobs.MustTake().lease, JobState::kDead);
  JobDriver::Expect((**node).Drop(SampleJob(4)->digest()));
  auto delivery = Await((**node).TakeDue(milliseconds(1000), clock_.SteadyNow()));
  ASSERT_TRUE(delivery && *delivery);
  JobDriver::Expect((**node).Postpone((*delivery)->number, milliseconds(0)));
  delivery = Await((**node).TakeDue(milliseconds(1000), clock_.SteadyNow()));
  ASSERT_TRUE(delivery && *delivery);
  JobDriver::Expect((**node).Close((*delivery)->number));
  EXPECT_EQ((**node).Counts().queued + (**node).Counts().leased, 0u);
  server_->Ask({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(jobs.Submit(SampleJob(9)), Submitted::kQueued);
}

TEST_F(RedisQueueFaults, AReplicaIsNoQueue) {
  StartServer();
  settings_.refresh = milliseconds(50);
  const auto node = MakeNode();
  RedisProcess master;
  server_->Ask({"REPLICAOF", "127.0.0.1", std::to_string(master.port())});
  EXPECT_TRUE(Eventually([&] {
    const auto refused = Await((**node).Submit(SampleJob(1), std::nullopt));
    return !refused && refused.error().code == Errc::kUnavailable &&
           refused.error().what.find("replica") != std::string::npos;
  }));
  EXPECT_TRUE(Eventually([&] {
    const auto room = (**node).CheckRoom(1);
    return !room && room.error().code == Errc::kUnavailable;
  }));
  aio::BlockingPool disk(1);
  Log log(LogFormat::kText, LogLevel::kError);
  RunningClient client(server_->Url());
  const auto opened = Await(fleet::RedisJobQueue::Open(settings_, *client, disk, client.io().executor(), clock_, log));
  EXPECT_THAT(opened, FailsWith(Errc::kUnavailable));
  server_->Ask({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(SubmitsInTheEnd(**node, SampleJob(1)));
}

TEST_F(RedisQueueFaults, ARedisThatIsGoneIsSaidToBe) {
  StartServer();
  settings_.refresh = milliseconds(50);
  const auto node = MakeNode();
  server_->Kill();
  EXPECT_TRUE(Eventually([&] {
    const auto room = (**node).CheckRoom(1);
    return !room && room.error().code == Errc::kUnavailable;
  }));
  EXPECT_EQ(Await((**node).Submit(SampleJob(1), std::nullopt)).error().code, Errc::kUnavailable);
  EXPECT_EQ(Await((**node).Find(SampleDigest(1))).error().code, Errc::kUnavailable);
  EXPECT_EQ(Await((**node).Take(JobKind::kAny, clock_.SteadyNow())).error().code, Errc::kUnavailable);
  const auto waited = Await((**node).Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1)));
  EXPECT_THAT(waited, FailsWith(Errc::kUnavailable));
  server_->Start();
  EXPECT_TRUE(SubmitsInTheEnd(**node, SampleJob(1)));
  EXPECT_TRUE(Eventually([&] { return (**node).CheckRoom(1).has_value(); }));
}

TEST_F(RedisQueueFaults, ReplicasAreWaitedFor) {
  StartServer();
  settings_.wait_replicas = 1;
  settings_.wait_timeout = milliseconds(100);
  const auto node = MakeNode();
  const auto alone = Await((**node).Submit(SampleJob(1), std::nullopt));
  EXPECT_THAT(alone, FailsWith(Errc::kUnavailable, "0 of 1 replicas"));
  EXPECT_TRUE(JobDriver(**node, clock_).Find(SampleJob(1)->digest())) << "it may be kept all the same";
  RedisProcess replica(RedisOptions{.arguments = {"--replicaof", fmt::format("127.0.0.1 {}", server_->port())}});
  EXPECT_TRUE(SubmitsInTheEnd(**node, SampleJob(2, 2 * kChunk)));
  EXPECT_EQ(replica.Ask({"EXISTS", fleet::ShardKeys(0).Job(SampleJob(2, 2 * kChunk)->digest())}).integer(), 1);
}

}  // namespace
}  // namespace lazaret::tests
