#pragma once

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <thread>
#include <vector>

#include "core/job_samples.h"

namespace lazaret {

// What every JobQueue must do. An implementation instantiates the suite with a World, which makes queues:
//   World(const FakeClock& clock, JobPolicy policy);  // a new, empty queue
//   JobQueue& queue();
//   Outbox& outbox();
template <class World>
class JobQueueContract : public testing::Test {
 protected:
  static constexpr milliseconds kMs{1};

  // Ends at the test's time limit only, as the clock stands still.
  SteadyTime Never() const { return clock_.SteadyNow() + std::chrono::hours(1); }

  FakeClock clock_;
  JobPolicy policy_{.small_size = 1000};
};

TYPED_TEST_SUITE_P(JobQueueContract);

TYPED_TEST_P(JobQueueContract, FindsNothingThatWasNotSubmitted) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  EXPECT_FALSE(jobs.Find(SampleDigest(1)));
  EXPECT_FALSE(jobs.Take());
  EXPECT_EQ(world.queue().Counts().queued, 0u);
  EXPECT_FALSE(world.queue().Counts().oldest);
}

TYPED_TEST_P(JobQueueContract, FindsWhatWasSubmitted) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const ContentPtr content = SampleJob(1, 500);
  const WallTime at = this->clock_.Now();
  EXPECT_EQ(jobs.Submit(content), Submitted::kQueued);
  this->clock_.Advance(milliseconds(5));
  const Job job = jobs.MustFind(content->digest());
  EXPECT_EQ(job.id, content->digest());
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_EQ(job.size, 500u);
  EXPECT_EQ(job.submitted_at, at);
  EXPECT_EQ(job.attempts, 0u);
  EXPECT_EQ(job.lost, 0u);
  EXPECT_EQ(job.note, "");
  EXPECT_TRUE(job.has_content);
  EXPECT_FALSE(job.finished_at);
  EXPECT_EQ(job.verdict, nullptr);
}

TYPED_TEST_P(JobQueueContract, HandsOutTheVeryBytes) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const std::size_t size : {0u, 1u, 4096u, 65535u, 65536u, 65537u, 1u << 20, (3u << 20) + 17}) {
    const std::string bytes = SampleBytes(size, size);
    jobs.Submit(std::make_shared<SampleContent>(bytes));
    LeasedJob job = jobs.MustTake();
    EXPECT_EQ(job.size, size);
    EXPECT_EQ(job.lease.id, Sha256::Of(AsBytes(bytes)));
    EXPECT_EQ(job.attempts, 0u);
    EXPECT_EQ(job.lost, 0u);
    ASSERT_TRUE(job.content) << job.content.error().what;
    ExpectWhole(**job.content, bytes);
    jobs.Finish(job.lease);
    ExpectWhole(**job.content, bytes);
  }
}

TYPED_TEST_P(JobQueueContract, GivesEachJobToOneTaker) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1));
  const LeasedJob job = jobs.MustTake();
  EXPECT_EQ(jobs.MustFind(job.lease.id).state, JobState::kLeased);
  EXPECT_FALSE(jobs.Take());
}

TYPED_TEST_P(JobQueueContract, GivesTheOldestFirst) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (std::size_t i = 0; i < 20; ++i) jobs.Submit(SampleJob(i, i % 3 == 0 ? 2000 : 100));
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(i, i % 3 == 0 ? 2000 : 100)->digest()) << i;
  }
}

TYPED_TEST_P(JobQueueContract, LargeJobsAreLeftOutOnDemand) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1, 1001));
  jobs.Submit(SampleJob(2, 1000));
  jobs.Submit(SampleJob(3, 5000));
  EXPECT_EQ(jobs.MustTake(JobKind::kSmall).lease.id, SampleJob(2, 1000)->digest());
  EXPECT_FALSE(jobs.Take(JobKind::kSmall));
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(1, 1001)->digest());
  EXPECT_EQ(jobs.MustTake().lease.id, SampleJob(3, 5000)->digest());
}

TYPED_TEST_P(JobQueueContract, AttachesToAJobThatIsThere) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const ContentPtr content = SampleJob(1);
  const WallTime at = this->clock_.Now();
  jobs.Submit(content);
  this->clock_.Advance(milliseconds(5));
  EXPECT_EQ(jobs.Submit(SampleJob(1)), Submitted::kAttached);
  EXPECT_EQ(jobs.MustFind(content->digest()).submitted_at, at);
  EXPECT_EQ(world.queue().Counts().queued, 1u);
  const LeasedJob job = jobs.MustTake();
  EXPECT_EQ(jobs.Submit(SampleJob(1)), Submitted::kAttached);
  EXPECT_FALSE(jobs.Take());
  jobs.Finish(job.lease);
}

TYPED_TEST_P(JobQueueContract, OneOfManySubmitsAtOnceQueues) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const std::size_t size : {100u, 200'000u}) {
    std::atomic<int> queued = 0;
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5; ++i) {
          const auto submitted = Await(world.queue().Submit(SampleJob(1, size), std::nullopt));
          EXPECT_TRUE(submitted) << submitted.error().what;
          if (submitted && *submitted == Submitted::kQueued) ++queued;
        }
      });
    }
    threads.clear();
    EXPECT_EQ(queued, 1);
    LeasedJob job = jobs.MustTake();
    ASSERT_TRUE(job.content);
    ExpectWhole(**job.content, SampleBytes(1, size));
    EXPECT_FALSE(jobs.Take());
  }
}

TYPED_TEST_P(JobQueueContract, KeepsTheVerdictOfAFinishedJob) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const JobState end : {JobState::kDone, JobState::kDead}) {
    const ContentPtr content = SampleJob(static_cast<std::size_t>(end));
    jobs.Submit(content);
    const LeasedJob leased = jobs.MustTake();
    this->clock_.Advance(milliseconds(7));
    jobs.Finish(leased.lease, end);
    const Job job = jobs.MustFind(content->digest());
    EXPECT_EQ(job.state, end);
    EXPECT_EQ(job.finished_at, this->clock_.Now());
    EXPECT_EQ(job.submitted_at, this->clock_.Now() - milliseconds(7));
    ASSERT_NE(job.verdict, nullptr);
    ExpectSame(*job.verdict, *jobs.VerdictFor(end));
    EXPECT_EQ(job.has_content, end == JobState::kDead);
    EXPECT_FALSE(jobs.Take());
  }
}

TYPED_TEST_P(JobQueueContract, AFinishedJobBeginsAgain) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const JobState end : {JobState::kDone, JobState::kDead}) {
    const ContentPtr content = SampleJob(static_cast<std::size_t>(end), 70'000);
    jobs.Submit(content);
    JobDriver::Expect(world.queue().Retry(jobs.MustTake().lease, milliseconds(0), "crashed"));
    jobs.Finish(jobs.MustTake().lease, end);
    this->clock_.Advance(milliseconds(5));
    jobs.Submit(SampleJob(9));
    EXPECT_EQ(jobs.Submit(content), Submitted::kQueued);
    const Job job = jobs.MustFind(content->digest());
    EXPECT_EQ(job.state, JobState::kQueued);
    EXPECT_EQ(job.submitted_at, this->clock_.Now());
    EXPECT_EQ(job.attempts, 0u);
    EXPECT_EQ(job.note, "");
    EXPECT_FALSE(job.finished_at);
    EXPECT_EQ(job.verdict, nullptr);
    EXPECT_EQ(world.queue().Counts().done, end == JobState::kDone ? 0u : 1u);
    EXPECT_EQ(world.queue().Counts().dead, 0u);
    jobs.Finish(jobs.MustTake().lease);  // the one that had been waiting for longer
    LeasedJob again = jobs.MustTake();
    EXPECT_EQ(again.lease.id, content->digest());
    ASSERT_TRUE(again.content);
    ExpectWhole(**again.content, SampleBytes(static_cast<std::size_t>(end), 70'000));
    jobs.Finish(again.lease);
  }
}

TYPED_TEST_P(JobQueueContract, ALeaseIsGoodForOneEnd) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  JobQueue& queue = world.queue();
  jobs.Submit(SampleJob(1));
  const Lease lease = jobs.MustTake().lease;
  const Lease other{lease.id, lease.token + 1'000'000};
  const Lease unknown{SampleDigest(1), lease.token};
  for (const Lease& wrong : {other, unknown}) {
    EXPECT_EQ(JobDriver::ErrorOf(queue.Renew(wrong)), Errc::kNotFound);
    EXPECT_EQ(JobDriver::ErrorOf(queue.Release(wrong)), Errc::kNotFound);
    EXPECT_EQ(JobDriver::ErrorOf(queue.Retry(wrong, milliseconds(0), "")), Errc::kNotFound);
    EXPECT_EQ(JobDriver::ErrorOf(queue.Finish(wrong, SampleClean(this->clock_), JobState::kDone)), Errc::kNotFound);
  }
  EXPECT_EQ(jobs.MustFind(lease.id).state, JobState::kLeased);
  jobs.Finish(lease);
  EXPECT_EQ(JobDriver::ErrorOf(queue.Renew(lease)), Errc::kNotFound);
  EXPECT_EQ(JobDriver::ErrorOf(queue.Release(lease)), Errc::kNotFound);
  EXPECT_EQ(JobDriver::ErrorOf(queue.Retry(lease, milliseconds(0), "")), Errc::kNotFound);
  EXPECT_EQ(JobDriver::ErrorOf(queue.Finish(lease, SampleClean(this->clock_), JobState::kDead)), Errc::kNotFound);
  EXPECT_EQ(jobs.MustFind(lease.id).state, JobState::kDone);
  EXPECT_EQ(queue.Counts().leased, 0u);
}

TYPED_TEST_P(JobQueueContract, ARetryIsCountedAndWaits) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1, 2000));
  jobs.Submit(SampleJob(2));
  const Lease lease = jobs.MustTake().lease;
  JobDriver::Expect(world.queue().Retry(lease, milliseconds(100), "the engine crashed"));
  const Job job = jobs.MustFind(lease.id);
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_EQ(job.attempts, 1u);
  EXPECT_EQ(job.lost, 0u);
  EXPECT_EQ(job.note, "the engine crashed");
  EXPECT_EQ(world.queue().Counts().queued, 2u);
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Renew(lease)), Errc::kNotFound);
  this->clock_.Advance(milliseconds(99));
  const LeasedJob second = jobs.MustTake();
  EXPECT_EQ(second.lease.id, SampleJob(2)->digest()) << "the pause holds nobody else up";
  EXPECT_FALSE(jobs.Take());
  JobDriver::Expect(world.queue().Release(second.lease));
  this->clock_.Advance(milliseconds(1));
  const LeasedJob again = jobs.MustTake();
  EXPECT_EQ(again.lease.id, lease.id) << "it has kept its place";
  EXPECT_EQ(again.attempts, 1u);
  JobDriver::Expect(world.queue().Retry(again.lease, milliseconds(0), ""));
  EXPECT_EQ(jobs.MustTake().attempts, 2u);
  EXPECT_EQ(jobs.MustFind(lease.id).note, "");
}

TYPED_TEST_P(JobQueueContract, AReleasedJobKeepsItsPlaceAndNothingIsCounted) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1));
  jobs.Submit(SampleJob(2));
  const Lease lease = jobs.MustTake().lease;
  JobDriver::Expect(world.queue().Release(lease));
  EXPECT_EQ(jobs.MustFind(lease.id).state, JobState::kQueued);
  const LeasedJob again = jobs.MustTake();
  EXPECT_EQ(again.lease.id, lease.id);
  EXPECT_NE(again.lease.token, lease.token);
  EXPECT_EQ(again.attempts, 0u);
  EXPECT_EQ(again.lost, 0u);
}

TYPED_TEST_P(JobQueueContract, AJobIsTakenOverWhenItsLeaseEnds) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1));
  jobs.Submit(SampleJob(2));
  const Lease lease = jobs.MustTake().lease;
  const Lease second = jobs.MustTake().lease;
  this->clock_.Advance(this->policy_.lease - this->kMs);
  JobDriver::Expect(world.queue().Renew(second));
  EXPECT_FALSE(jobs.Take());
  this->clock_.Advance(this->kMs);
  const LeasedJob again = jobs.MustTake();
  EXPECT_EQ(again.lease.id, lease.id);
  EXPECT_NE(again.lease.token, lease.token);
  EXPECT_EQ(again.lost, 1u);
  EXPECT_EQ(again.attempts, 0u);
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Renew(lease)), Errc::kNotFound);
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Finish(lease, SampleClean(this->clock_), JobState::kDone)),
            Errc::kNotFound);
  EXPECT_EQ(jobs.MustFind(lease.id).state, JobState::kLeased);
  EXPECT_EQ(jobs.MustFind(lease.id).lost, 1u);
  EXPECT_FALSE(jobs.Take()) << "the renewed one";
  this->clock_.Advance(this->policy_.lease - this->kMs);
  EXPECT_EQ(jobs.MustTake().lease.id, second.id);
  jobs.Finish(again.lease);
}

TYPED_TEST_P(JobQueueContract, CountsWhatItHolds) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const WallTime first = this->clock_.Now();
  for (std::size_t i = 0; i < 6; ++i) {
    jobs.Submit(SampleJob(i, 100 + i));
    this->clock_.Advance(milliseconds(1));
  }
  JobCounts counts = world.queue().Counts();
  EXPECT_EQ(counts.queued, 6u);
  EXPECT_EQ(counts.bytes, 615u);
  EXPECT_EQ(counts.oldest, first);
  jobs.Finish(jobs.MustTake().lease);
  jobs.Finish(jobs.MustTake().lease, JobState::kDead);
  const Lease leased = jobs.MustTake().lease;
  JobDriver::Expect(world.queue().Retry(jobs.MustTake().lease, milliseconds(50), "x"));
  counts = world.queue().Counts();
  EXPECT_EQ(counts.queued, 3u);
  EXPECT_EQ(counts.leased, 1u);
  EXPECT_EQ(counts.done, 1u);
  EXPECT_EQ(counts.dead, 1u);
  EXPECT_EQ(counts.bytes, 102u + 103 + 104 + 105);
  EXPECT_EQ(counts.oldest, first + milliseconds(2)) << "one that is leased counts, too";
  jobs.Finish(leased);
  EXPECT_EQ(world.queue().Counts().oldest, first + milliseconds(3)) << "one that pauses counts, too";
}

TYPED_TEST_P(JobQueueContract, RefusesMoreJobsThanItMayHold) {
  this->policy_.max_jobs = 3;
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(world.queue().CheckRoom(100));
    jobs.Submit(SampleJob(i));
  }
  EXPECT_EQ(world.queue().CheckRoom(0).error().code, Errc::kOverloaded);
  EXPECT_EQ(jobs.SubmitError(SampleJob(3)), Errc::kOverloaded);
  EXPECT_EQ(jobs.SubmitError(SampleJob(3, 200'000)), Errc::kOverloaded);
  EXPECT_FALSE(jobs.Find(SampleJob(3)->digest()));
  EXPECT_EQ(jobs.Submit(SampleJob(0)), Submitted::kAttached) << "that needs no room";
  const Lease lease = jobs.MustTake().lease;
  EXPECT_EQ(jobs.SubmitError(SampleJob(3)), Errc::kOverloaded) << "a leased one takes room";
  jobs.Finish(lease);
  EXPECT_TRUE(world.queue().CheckRoom(100));
  EXPECT_EQ(jobs.Submit(SampleJob(3)), Submitted::kQueued);
  EXPECT_EQ(jobs.SubmitError(SampleJob(0)), Errc::kOverloaded) << "the finished one would begin again";
  EXPECT_EQ(jobs.MustFind(lease.id).state, JobState::kDone) << "and is as it was";
}

TYPED_TEST_P(JobQueueContract, RefusesMoreBytesThanItMayHold) {
  this->policy_.max_bytes = 300'000;
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  EXPECT_TRUE(world.queue().CheckRoom(300'000));
  EXPECT_EQ(world.queue().CheckRoom(300'001).error().code, Errc::kTooLarge);
  EXPECT_EQ(jobs.SubmitError(SampleJob(1, 300'001)), Errc::kTooLarge);
  jobs.Submit(SampleJob(1, 200'000));
  EXPECT_TRUE(world.queue().CheckRoom(100'000));
  EXPECT_EQ(world.queue().CheckRoom(100'001).error().code, Errc::kOverloaded);
  EXPECT_EQ(jobs.SubmitError(SampleJob(2, 100'001)), Errc::kOverloaded);
  jobs.Submit(SampleJob(3, 40'000));
  EXPECT_EQ(jobs.SubmitError(SampleJob(4, 60'001)), Errc::kOverloaded);
  jobs.Submit(SampleJob(5, 60'000));
  EXPECT_EQ(world.queue().CheckRoom(1).error().code, Errc::kOverloaded);
  EXPECT_TRUE(world.queue().CheckRoom(0));
  jobs.Finish(jobs.MustTake().lease, JobState::kDead);
  EXPECT_TRUE(world.queue().CheckRoom(200'000)) << "what a dead letter keeps does not count here";
}

TYPED_TEST_P(JobQueueContract, ForgetsFinishedJobsAtTheirAge) {
  this->policy_.keep_done = milliseconds(1000);
  this->policy_.keep_dead = milliseconds(3000);
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const Digest done = jobs.SubmitAndFinish(SampleJob(1));
  const Digest dead = jobs.SubmitAndFinish(SampleJob(2), JobState::kDead);
  this->clock_.Advance(milliseconds(999));
  EXPECT_TRUE(jobs.Find(done));
  this->clock_.Advance(this->kMs);
  EXPECT_FALSE(jobs.Find(done));
  EXPECT_TRUE(jobs.Find(dead));
  EXPECT_EQ(Await(world.queue().List({})).value().size(), 1u);
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Drop(done)), Errc::kNotFound);
  this->clock_.Advance(milliseconds(1999));
  EXPECT_TRUE(jobs.Find(dead));
  this->clock_.Advance(this->kMs);
  EXPECT_FALSE(jobs.Find(dead));
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Revive(dead)), Errc::kNotFound);
  EXPECT_EQ(jobs.Submit(SampleJob(1)), Submitted::kQueued);
  EXPECT_EQ(world.queue().Counts().done, 0u);
  EXPECT_EQ(world.queue().Counts().dead, 0u);
}

TYPED_TEST_P(JobQueueContract, KeepsOnlySoManyFinishedJobs) {
  this->policy_.max_done = 3;
  this->policy_.max_dead = 2;
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const JobState end : {JobState::kDone, JobState::kDead}) {
    const std::size_t most = end == JobState::kDone ? 3 : 2;
    const std::size_t base = 100 * static_cast<std::size_t>(end);
    for (std::size_t i = 0; i < most + 2; ++i) {
      jobs.SubmitAndFinish(SampleJob(base + i), end);
      this->clock_.Advance(this->kMs);
      for (std::size_t k = 0; k <= i; ++k) {
        EXPECT_EQ(jobs.Find(SampleJob(base + k)->digest()).has_value(), k + most > i) << k << " of " << i + 1;
      }
    }
  }
  EXPECT_EQ(world.queue().Counts().done, 3u);
  EXPECT_EQ(world.queue().Counts().dead, 2u);
}

TYPED_TEST_P(JobQueueContract, DeadLettersKeepTheirContentsWhileThereIsRoom) {
  this->policy_.max_dead_bytes = 200'000;
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const Digest first = jobs.SubmitAndFinish(SampleJob(1, 100'000), JobState::kDead);
  this->clock_.Advance(this->kMs);
  const Digest second = jobs.SubmitAndFinish(SampleJob(2, 50'000), JobState::kDead);
  this->clock_.Advance(this->kMs);
  const Digest third = jobs.SubmitAndFinish(SampleJob(3, 50'000), JobState::kDead);
  EXPECT_TRUE(jobs.MustFind(first).has_content);
  this->clock_.Advance(this->kMs);
  const Digest fourth = jobs.SubmitAndFinish(SampleJob(4, 100), JobState::kDead);
  EXPECT_FALSE(jobs.MustFind(first).has_content) << "the oldest goes first";
  for (const Digest& id : {second, third, fourth}) EXPECT_TRUE(jobs.MustFind(id).has_content);
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Revive(first)), Errc::kMalformed);
  this->clock_.Advance(this->kMs);
  const Digest huge = jobs.SubmitAndFinish(SampleJob(5, 200'001), JobState::kDead);
  EXPECT_FALSE(jobs.MustFind(huge).has_content);
}

TYPED_TEST_P(JobQueueContract, ADeadLetterCanBeRevived) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const std::size_t size : {100u, 100'000u}) {
    const ContentPtr content = SampleJob(1, size);
    jobs.Submit(content);
    JobDriver::Expect(world.queue().Retry(jobs.MustTake().lease, milliseconds(0), "crashed"));
    const Lease lease = jobs.MustTake().lease;
    EXPECT_EQ(JobDriver::ErrorOf(world.queue().Revive(lease.id)), Errc::kMalformed);
    jobs.Finish(lease, JobState::kDead);
    this->clock_.Advance(this->kMs);
    JobDriver::Expect(world.queue().Revive(lease.id));
    const Job job = jobs.MustFind(lease.id);
    EXPECT_EQ(job.state, JobState::kQueued);
    EXPECT_EQ(job.attempts, 0u);
    EXPECT_EQ(job.note, "");
    EXPECT_EQ(job.verdict, nullptr);
    EXPECT_EQ(world.queue().Counts().dead, 0u);
    EXPECT_EQ(world.queue().Counts().bytes, size);
    LeasedJob again = jobs.MustTake();
    ASSERT_TRUE(again.content) << again.content.error().what;
    ExpectWhole(**again.content, SampleBytes(1, size));
    jobs.Finish(again.lease);
    EXPECT_EQ(JobDriver::ErrorOf(world.queue().Revive(lease.id)), Errc::kMalformed);
  }
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Revive(SampleDigest(1))), Errc::kNotFound);
}

TYPED_TEST_P(JobQueueContract, RevivingNeedsRoom) {
  this->policy_.max_jobs = 1;
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const Digest dead = jobs.SubmitAndFinish(SampleJob(1), JobState::kDead);
  jobs.Submit(SampleJob(2));
  EXPECT_EQ(JobDriver::ErrorOf(world.queue().Revive(dead)), Errc::kOverloaded);
  EXPECT_EQ(jobs.MustFind(dead).state, JobState::kDead);
  jobs.Finish(jobs.MustTake().lease);
  JobDriver::Expect(world.queue().Revive(dead));
}

TYPED_TEST_P(JobQueueContract, AJobCanBeDroppedInEveryState) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const std::size_t size : {100u, 100'000u}) {
    for (const JobState state : {JobState::kQueued, JobState::kLeased, JobState::kDone, JobState::kDead}) {
      const ContentPtr content = SampleJob(1, size);
      EXPECT_EQ(jobs.Submit(content, Callback{"https://a.example/", ""}), Submitted::kQueued);
      std::optional<Lease> lease;
      if (state != JobState::kQueued) lease = jobs.MustTake().lease;
      if (state == JobState::kDone || state == JobState::kDead) jobs.Finish(*lease, state);
      JobDriver::Expect(world.queue().Drop(content->digest()));
      EXPECT_FALSE(jobs.Find(content->digest()));
      EXPECT_FALSE(jobs.Take());
      EXPECT_EQ(JobDriver::ErrorOf(world.queue().Drop(content->digest())), Errc::kNotFound);
      if (lease) {
        EXPECT_EQ(JobDriver::ErrorOf(world.queue().Renew(*lease)), Errc::kNotFound);
        EXPECT_EQ(JobDriver::ErrorOf(world.queue().Finish(*lease, SampleClean(this->clock_), JobState::kDone)),
                  Errc::kNotFound);
      }
      const JobCounts counts = world.queue().Counts();
      EXPECT_EQ(counts.queued + counts.leased + counts.done + counts.dead + counts.bytes, 0u);
    }
  }
  EXPECT_EQ(world.outbox().waiting(), 4u) << "those that were due before are still due";
}

TYPED_TEST_P(JobQueueContract, ListsTheNewestFirst) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (std::size_t i = 0; i < 8; ++i) {
    jobs.Submit(SampleJob(i));
    this->clock_.Advance(this->kMs);
  }
  jobs.Finish(jobs.MustTake().lease);
  jobs.Finish(jobs.MustTake().lease, JobState::kDead);
  jobs.Finish(jobs.MustTake().lease, JobState::kDead);
  const Lease leased = jobs.MustTake().lease;
  const auto numbers = [&](JobFilter filter) {
    std::vector<std::size_t> found;
    const auto listed = Await(world.queue().List(filter));
    EXPECT_TRUE(listed) << listed.error().what;
    for (const Job& job : *listed) {
      EXPECT_TRUE(!filter.state || job.state == *filter.state);
      EXPECT_EQ(job.verdict != nullptr, job.IsFinished());
      for (std::size_t i = 0; i < 8; ++i) {
        if (SampleJob(i)->digest() == job.id) found.push_back(i);
      }
    }
    return found;
  };
  using Numbers = std::vector<std::size_t>;
  EXPECT_EQ(numbers({}), (Numbers{7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(numbers({.limit = 3}), (Numbers{7, 6, 5}));
  EXPECT_EQ(numbers({.limit = 0}), Numbers{});
  EXPECT_EQ(numbers({.state = JobState::kQueued}), (Numbers{7, 6, 5, 4}));
  EXPECT_EQ(numbers({.state = JobState::kQueued, .limit = 2}), (Numbers{7, 6}));
  JobDriver::Expect(world.queue().Renew(leased));
  jobs.Submit(SampleJob(0));  // whatever was not written yet is written now
  EXPECT_EQ(numbers({.state = JobState::kLeased}), Numbers{3});
  EXPECT_EQ(numbers({.state = JobState::kDead}), (Numbers{2, 1}));
  EXPECT_EQ(numbers({.state = JobState::kDead, .limit = 1}), Numbers{2});
  EXPECT_EQ(numbers({.state = JobState::kDone}), Numbers{});
}

TYPED_TEST_P(JobQueueContract, AWaitingTakerGetsTheNextJob) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const JobKind kind : {JobKind::kAny, JobKind::kSmall}) {
    boost::asio::io_context io;
    auto taken = boost::asio::co_spawn(io, world.queue().Take(kind, this->Never()), boost::asio::use_future);
    io.run_for(milliseconds(20));
    if (kind == JobKind::kSmall) jobs.Submit(SampleJob(2, 5000));
    const ContentPtr content = SampleJob(1);
    jobs.Submit(content);
    io.restart();
    io.run();
    const auto job = taken.get();
    ASSERT_TRUE(job && *job);
    EXPECT_EQ((*job)->lease.id, content->digest());
    jobs.Finish((*job)->lease);
  }
}

TYPED_TEST_P(JobQueueContract, ATakerGivesUpAtItsTime) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const auto none = Await(world.queue().Take(JobKind::kAny, this->clock_.SteadyNow() + milliseconds(5)));
  EXPECT_TRUE(none && !*none);
  jobs.Submit(SampleJob(1));
  EXPECT_TRUE(jobs.Take()) << "the taker that gave up has it";
  for (const SteadyTime past : {this->clock_.SteadyNow() - std::chrono::hours(1), SteadyTime::min()}) {
    const auto at_once = Await(world.queue().Take(JobKind::kAny, past));
    EXPECT_TRUE(at_once && !*at_once);
  }
}

TYPED_TEST_P(JobQueueContract, OneJobEndsOneWait) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  constexpr std::size_t kTakers = 10;
  boost::asio::io_context io;
  std::vector<Digest> got;
  std::vector<std::future<void>> takers;
  const auto take = [&]() -> aio::Task<> {
    const auto job = co_await world.queue().Take(JobKind::kAny, this->Never());
    EXPECT_TRUE(job && *job);
    if (job && *job) got.push_back((*job)->lease.id);
  };
  for (std::size_t i = 0; i < kTakers; ++i)
    takers.push_back(boost::asio::co_spawn(io, take(), boost::asio::use_future));
  io.run_for(milliseconds(20));
  for (std::size_t i = 0; i < kTakers; ++i) {
    EXPECT_EQ(got.size(), i);
    jobs.Submit(SampleJob(i));
    while (got.size() <= i) io.run_one();
    EXPECT_EQ(got.back(), SampleJob(i)->digest());
  }
  io.run();
  EXPECT_FALSE(jobs.Take());
}

TYPED_TEST_P(JobQueueContract, ACancelledTakerTakesNothingAway) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  // The cancellation meets the hand-over at every stage.
  for (std::size_t round = 0; round < 60; ++round) {
    boost::asio::io_context io;
    boost::asio::cancellation_signal cancel;
    std::optional<LeasedJob> taken;
    const auto take = [&]() -> aio::Task<> {
      auto job = co_await world.queue().Take(JobKind::kAny, this->Never());
      if (job && *job) taken = **std::move(job);
    };
    boost::asio::co_spawn(io, take(), boost::asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {}));
    if (round % 3 != 0) io.run_for(milliseconds(2));
    std::jthread submit([&] { jobs.Submit(SampleJob(round, round % 2 == 0 ? 100 : 100'000)); });
    if (round % 4 == 0) submit.join();
    io.restart();
    io.run_for(std::chrono::microseconds(round * 50));
    io.restart();
    cancel.emit(boost::asio::cancellation_type::terminal);
    io.run();
    if (submit.joinable()) submit.join();
    if (!taken) {
      // It may be on its way back.
      auto job = Await(world.queue().Take(JobKind::kAny, this->Never()));
      ASSERT_TRUE(job && *job);
      EXPECT_EQ((*job)->lost, 0u);
      taken = **std::move(job);
    }
    EXPECT_EQ(taken->lease.id, SampleJob(round, round % 2 == 0 ? 100 : 100'000)->digest());
    jobs.Finish(taken->lease);
  }
  EXPECT_EQ(world.queue().Counts().leased, 0u);
}

TYPED_TEST_P(JobQueueContract, ServesManyThreadsAtOnce) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kJobs = 60;
  TypeParam world(this->clock_, this->policy_);
  std::mutex mutex;
  std::multiset<Digest> finished;
  std::vector<std::jthread> threads;
  const auto submit = [&](std::size_t number) -> aio::Task<> {
    const std::size_t size = number % 7 == 0 ? 70'000 + number : 50 + number;
    const auto submitted = co_await world.queue().Submit(SampleJob(number, size), std::nullopt);
    EXPECT_TRUE(submitted) << submitted.error().what;
  };
  const auto work = [&](std::size_t count) -> aio::Task<> {
    for (std::size_t i = 0; i < count; ++i) {
      const auto job = co_await world.queue().Take(JobKind::kAny, this->Never());
      if (!job || !*job) throw std::runtime_error("no job");
      const Lease lease = (*job)->lease;
      EXPECT_TRUE((*job)->content);
      const auto found = co_await world.queue().Find(lease.id);
      EXPECT_TRUE(found && *found && (*found)->state == JobState::kLeased);
      const auto ended = co_await world.queue().Finish(lease, SampleClean(this->clock_), JobState::kDone);
      EXPECT_TRUE(ended) << ended.error().what;
      std::lock_guard lock(mutex);
      finished.insert(lease.id);
    }
  };
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      boost::asio::io_context io;
      std::vector<std::future<void>> tasks;
      for (std::size_t i = 0; i < kJobs; ++i) {
        tasks.push_back(boost::asio::co_spawn(io, submit(thread * kJobs + i), boost::asio::use_future));
      }
      for (int i = 0; i < 3; ++i) {
        tasks.push_back(boost::asio::co_spawn(io, work(kJobs / 3), boost::asio::use_future));
      }
      io.run();
      for (auto& task : tasks) task.get();
    });
  }
  threads.clear();
  EXPECT_EQ(finished.size(), kThreads * kJobs);
  EXPECT_EQ(std::set<Digest>(finished.begin(), finished.end()).size(), kThreads * kJobs);
  EXPECT_EQ(world.queue().Counts().done, kThreads * kJobs);
  EXPECT_EQ(world.queue().Counts().bytes, 0u);
}

REGISTER_TYPED_TEST_SUITE_P(JobQueueContract, FindsNothingThatWasNotSubmitted, FindsWhatWasSubmitted,
                            HandsOutTheVeryBytes, GivesEachJobToOneTaker, GivesTheOldestFirst,
                            LargeJobsAreLeftOutOnDemand, AttachesToAJobThatIsThere, OneOfManySubmitsAtOnceQueues,
                            KeepsTheVerdictOfAFinishedJob, AFinishedJobBeginsAgain, ALeaseIsGoodForOneEnd,
                            ARetryIsCountedAndWaits, AReleasedJobKeepsItsPlaceAndNothingIsCounted,
                            AJobIsTakenOverWhenItsLeaseEnds, CountsWhatItHolds, RefusesMoreJobsThanItMayHold,
                            RefusesMoreBytesThanItMayHold, ForgetsFinishedJobsAtTheirAge, KeepsOnlySoManyFinishedJobs,
                            DeadLettersKeepTheirContentsWhileThereIsRoom, ADeadLetterCanBeRevived, RevivingNeedsRoom,
                            AJobCanBeDroppedInEveryState, ListsTheNewestFirst, AWaitingTakerGetsTheNextJob,
                            ATakerGivesUpAtItsTime, OneJobEndsOneWait, ACancelledTakerTakesNothingAway,
                            ServesManyThreadsAtOnce);

}  // namespace lazaret
