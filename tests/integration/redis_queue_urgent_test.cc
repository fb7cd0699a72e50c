// Jobs that somebody waits for, in the queue of several nodes on one Redis.
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fleet/job_keys.h"
#include "integration/redis_queue_fixture.h"

namespace lazaret::tests {
namespace {

using testing::ElementsAre;

constexpr std::size_t kLarge = 2'000'000;

class RedisQueueUrgent : public testing::Test {
 protected:
  std::unique_ptr<QueueNode> MakeNode() { return std::make_unique<QueueNode>(server_.Url(), settings_, clock_); }
  static Submitted SubmitUrgent(QueueNode& node, const ContentPtr& content) {
    const auto submitted = Await((*node).SubmitUrgent(content));
    EXPECT_TRUE(submitted) << submitted.error().what;
    return submitted.value_or(Submitted::kAttached);
  }
  std::int64_t LengthOf(const std::string& stream) const { return server_.Ask({"XLEN", stream}).integer(); }

  RedisProcess server_;
  SystemClock clock_;
  fleet::RedisQueueSettings settings_;
};

TEST_F(RedisQueueUrgent, GoFirstButEveryFifthIsAnother) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 5; ++i) jobs.Submit(SampleJob(i, i % 2 == 0 ? 100 : kLarge));
  for (std::size_t i = 10; i < 20; ++i) {
    EXPECT_EQ(SubmitUrgent(*node, SampleJob(i, i % 3 == 0 ? kLarge : 100)), Submitted::kQueued);
  }
  std::string order;
  std::size_t next = 0;
  std::size_t next_urgent = 10;
  while (const auto job = jobs.Take()) {
    ASSERT_TRUE(job->content) << job->content.error().what;
    const Digest& id = job->lease.id;
    const bool is_urgent =
        next_urgent < 20 && id == SampleJob(next_urgent, next_urgent % 3 == 0 ? kLarge : 100)->digest();
    if (!is_urgent) EXPECT_EQ(id, SampleJob(next, next % 2 == 0 ? 100 : kLarge)->digest()) << order;
    ++(is_urgent ? next_urgent : next);
    order += is_urgent ? 'U' : '.';
    jobs.Finish(job->lease);
  }
  EXPECT_EQ(order, "UUUU.UUUU.UU...");
  const fleet::ShardKeys keys(0);
  for (const std::string& stream : {keys.small(), keys.large(), keys.urgent_small(), keys.urgent_large()}) {
    EXPECT_EQ(LengthOf(stream), 0) << stream;
  }
  EXPECT_EQ((**node).Counts().queued + (**node).Counts().leased, 0u);
}

TEST_F(RedisQueueUrgent, WaitingAloneTheyUseUpNobodysTurns) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 10; ++i) {
    SubmitUrgent(*node, SampleJob(i));
    jobs.Finish(jobs.MustTake().lease);
  }
  jobs.Submit(SampleJob(20));
  SubmitUrgent(*node, SampleJob(21));
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(21)->digest());
}

TEST_F(RedisQueueUrgent, ComeBackAheadOfTheOthers) {
  settings_.policy.lease = milliseconds(1000);
  const auto node = MakeNode();
  auto gone = MakeNode();
  JobDriver jobs(**node, clock_);
  const Digest id = SampleJob(1)->digest();
  jobs.Submit(SampleJob(2));
  jobs.Submit(SampleJob(3));
  SubmitUrgent(*node, SampleJob(1));
  JobDriver::Expect((**node).Release(jobs.MustTake().lease));
  LeasedJob job = jobs.MustTake();
  EXPECT_EQ(job.lease.id, id);
  EXPECT_EQ(job.attempts, 0u);
  JobDriver::Expect((**node).Retry(job.lease, milliseconds(0), "crashed"));
  job = JobDriver(**gone, clock_).MustTake();
  EXPECT_EQ(job.lease.id, id);
  EXPECT_EQ(job.attempts, 1u);
  // Its worker dies.
  gone.reset();
  EXPECT_TRUE(Eventually([&] { return jobs.MustFind(id).state == JobState::kQueued; }));
  job = jobs.MustTake();
  EXPECT_EQ(job.lease.id, id);
  EXPECT_EQ(job.lost, 1u);
  JobDriver::Expect((**node).Renew(job.lease));
  jobs.Finish(job.lease);
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(2)->digest());
}

TEST_F(RedisQueueUrgent, WhatWasQueuedBecomesUrgent) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 4; ++i) jobs.Submit(SampleJob(i));
  const Lease first = jobs.MustTake().lease;
  EXPECT_EQ(SubmitUrgent(*node, SampleJob(0)), Submitted::kAttached) << "it is under way";
  const Lease second = jobs.MustTake().lease;
  JobDriver::Expect((**node).Release(second));
  for (const std::size_t i : {3, 1, 3}) EXPECT_EQ(SubmitUrgent(*node, SampleJob(i)), Submitted::kAttached);
  EXPECT_EQ((**node).Counts().queued, 3u);
  std::vector<Digest> taken;
  for (int i = 0; i < 3; ++i) {
    const LeasedJob job = jobs.MustTake();
    taken.push_back(job.lease.id);
    jobs.Finish(job.lease);
  }
  EXPECT_THAT(taken, ElementsAre(SampleJob(3)->digest(), SampleJob(1)->digest(), SampleJob(2)->digest()));
  jobs.Finish(first);
  EXPECT_FALSE(jobs.Take());
  const fleet::ShardKeys keys(0);
  for (const std::string& stream : {keys.small(), keys.urgent_small()}) EXPECT_EQ(LengthOf(stream), 0) << stream;
}

TEST_F(RedisQueueUrgent, APauseIsKept) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  jobs.Submit(SampleJob(1));
  JobDriver::Expect((**node).Retry(jobs.MustTake().lease, std::chrono::hours(1), "crashed"));
  EXPECT_EQ(SubmitUrgent(*node, SampleJob(1)), Submitted::kAttached);
  EXPECT_FALSE(jobs.Take());
}

TEST_F(RedisQueueUrgent, LargeOnesAreNotForTakersOfSmallOnes) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  SubmitUrgent(*node, SampleJob(1, kLarge));
  EXPECT_FALSE(jobs.Take(JobKind::kSmall));
  jobs.Submit(SampleJob(2));
  SubmitUrgent(*node, SampleJob(3));
  EXPECT_EQ(jobs.MustTake(JobKind::kSmall).lease.id, SampleJob(3)->digest());
  EXPECT_EQ(jobs.MustTake(JobKind::kSmall).lease.id, SampleJob(2)->digest());
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(1, kLarge)->digest());
}

TEST_F(RedisQueueUrgent, GoFirstAcrossShards) {
  settings_.shards = 8;
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 40; ++i) jobs.Submit(SampleJob(i));
  for (std::size_t i = 50; i < 54; ++i) SubmitUrgent(*node, SampleJob(i));
  for (std::size_t i = 50; i < 54; ++i) EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(i)->digest());
}

TEST_F(RedisQueueUrgent, EndAWait) {
  const auto here = MakeNode();
  const auto there = MakeNode();
  for (const std::size_t size : {std::size_t{100}, kLarge}) {
    auto taken = here->client().io().Spawn((**here).Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1)));
    EXPECT_TRUE(
        Eventually([&] { return server_.Ask({"CLIENT", "LIST"}).text().find("cmd=xread") != std::string::npos; }));
    SubmitUrgent(*there, SampleJob(1, size));
    const auto job = taken.get();
    ASSERT_TRUE(job && *job);
    JobDriver(**here, clock_).Finish((*job)->lease);
  }
}

TEST_F(RedisQueueUrgent, ARevivedOneWaitsAsTheOthersDo) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  SubmitUrgent(*node, SampleJob(1));
  jobs.Finish(jobs.MustTake().lease, JobState::kDead);
  jobs.Submit(SampleJob(2));
  JobDriver::Expect((**node).Revive(SampleJob(1)->digest()));
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(2)->digest());
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(1)->digest());
}

TEST_F(RedisQueueUrgent, ADroppedOneIsGone) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  SubmitUrgent(*node, SampleJob(1));
  SubmitUrgent(*node, SampleJob(2));
  JobDriver::Expect((**node).Release(jobs.MustTake().lease));
  JobDriver::Expect((**node).Drop(SampleJob(1)->digest()));
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(2)->digest());
  EXPECT_FALSE(jobs.Take());
}

// As RedisQueueFaults.WhatIsForgottenAfterTheAnswerIsGivenBack.
TEST_F(RedisQueueUrgent, WhatWasTakenForNobodyIsGivenBack) {
  settings_.timeout = milliseconds(300);
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  SubmitUrgent(*node, SampleJob(1));
  server_.Stop();
  const auto taken = Await((**node).Take(JobKind::kAny, clock_.SteadyNow()));
  EXPECT_THAT(taken, FailsWith(Errc::kUnavailable, "nobody knows"));
  server_.Continue();
  std::optional<LeasedJob> job;
  EXPECT_TRUE(Eventually([&] {
    auto again = Await((**node).Take(JobKind::kAny, clock_.SteadyNow()));
    if (again) job = *std::move(again);
    return job.has_value();
  }));
  ASSERT_TRUE(job);
  EXPECT_EQ(job->lost, 0u);
}

TEST_F(RedisQueueUrgent, AreFoundAgainWhenWhatIsKnownOfTheShardIsLost) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  SubmitUrgent(*node, SampleJob(1));
  SubmitUrgent(*node, SampleJob(2));
  JobDriver::Expect((**node).Release(jobs.MustTake().lease));
  server_.Ask({"DEL", fleet::ShardKeys(0).stat()});
  std::set<Digest> taken;
  EXPECT_TRUE(Eventually([&] {
    if (const auto job = jobs.Take()) {
      taken.insert(job->lease.id);
      jobs.Finish(job->lease);
    }
    return taken.size() == 2;
  }));
}

}  // namespace
}  // namespace lazaret::tests
