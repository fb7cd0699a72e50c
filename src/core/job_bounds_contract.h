#pragma once

#include <gtest/gtest.h>

#include "core/job_samples.h"

namespace lazaret {

// The bounds that every JobQueue must keep. The World is that of JobQueueContract.
template <class World>
class JobBoundsContract : public testing::Test {
 protected:
  static constexpr milliseconds kMs{1};

  FakeClock clock_;
  JobPolicy policy_{};
};

TYPED_TEST_SUITE_P(JobBoundsContract);

TYPED_TEST_P(JobBoundsContract, RefusesMoreJobsThanItMayHold) {
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

TYPED_TEST_P(JobBoundsContract, RefusesMoreBytesThanItMayHold) {
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

TYPED_TEST_P(JobBoundsContract, ForgetsFinishedJobsAtTheirAge) {
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

TYPED_TEST_P(JobBoundsContract, KeepsOnlySoManyFinishedJobs) {
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

TYPED_TEST_P(JobBoundsContract, DeadLettersKeepTheirContentsWhileThereIsRoom) {
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

TYPED_TEST_P(JobBoundsContract, RevivingNeedsRoom) {
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

REGISTER_TYPED_TEST_SUITE_P(JobBoundsContract, RefusesMoreJobsThanItMayHold, RefusesMoreBytesThanItMayHold,
                            ForgetsFinishedJobsAtTheirAge, KeepsOnlySoManyFinishedJobs,
                            DeadLettersKeepTheirContentsWhileThereIsRoom, RevivingNeedsRoom);

}  // namespace lazaret
