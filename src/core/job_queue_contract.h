#pragma once

#include <gtest/gtest.h>

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
    EXPECT_EQ(job.attempts, end == JobState::kDead ? 1u : 0u);
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

REGISTER_TYPED_TEST_SUITE_P(JobQueueContract, FindsNothingThatWasNotSubmitted, FindsWhatWasSubmitted,
                            HandsOutTheVeryBytes, GivesEachJobToOneTaker, GivesTheOldestFirst,
                            LargeJobsAreLeftOutOnDemand, AttachesToAJobThatIsThere, KeepsTheVerdictOfAFinishedJob,
                            AFinishedJobBeginsAgain, ALeaseIsGoodForOneEnd, ARetryIsCountedAndWaits,
                            AReleasedJobKeepsItsPlaceAndNothingIsCounted, AJobIsTakenOverWhenItsLeaseEnds,
                            CountsWhatItHolds, ADeadLetterCanBeRevived, AJobCanBeDroppedInEveryState,
                            ListsTheNewestFirst);

}  // namespace lazaret
