#pragma once

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/job_samples.h"

namespace lazaret {

// What every JobQueue must do for many at once, and for those who wait. The World is that of JobQueueContract.
template <class World>
class JobTakersContract : public testing::Test {
 protected:
  // Ends at the test's time limit only, as the clock stands still.
  SteadyTime Never() const { return clock_.SteadyNow() + std::chrono::hours(1); }

  FakeClock clock_;
  JobPolicy policy_{.small_size = 1000};
};

TYPED_TEST_SUITE_P(JobTakersContract);

TYPED_TEST_P(JobTakersContract, OneOfManySubmitsAtOnceQueues) {
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

TYPED_TEST_P(JobTakersContract, AWaitingTakerGetsTheNextJob) {
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

TYPED_TEST_P(JobTakersContract, ATakerGivesUpAtItsTime) {
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

TYPED_TEST_P(JobTakersContract, OneJobEndsOneWait) {
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

TYPED_TEST_P(JobTakersContract, ACancelledTakerTakesNothingAway) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (std::size_t round = 0; round < 60; ++round) {
    boost::asio::io_context io;
    boost::asio::cancellation_signal cancel;
    std::optional<LeasedJob> taken;
    const auto take = [&]() -> aio::Task<> {
      auto job = co_await world.queue().Take(JobKind::kAny, this->Never());
      if (!job || !*job) co_return;
      taken = **std::move(job);
      const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
      EXPECT_EQ(cancellation.cancelled(), boost::asio::cancellation_type::none) << "the next wait would lose the job";
    };
    boost::asio::co_spawn(io, take(), boost::asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {}));
    // The cancellation meets the hand-over at every stage: before it, when the job is on its way, anywhere.
    const std::size_t stage = round % 3;
    const std::size_t size = round % 2 == 0 ? 100 : 100'000;
    if (stage > 0) io.run_for(milliseconds(2));
    std::jthread submit([&] { jobs.Submit(SampleJob(round, size)); });
    if (stage == 1) submit.join();
    if (stage != 1) {
      io.restart();
      io.run_for(std::chrono::microseconds(round * 50));
    }
    cancel.emit(boost::asio::cancellation_type::terminal);
    io.restart();
    io.run();
    if (submit.joinable()) submit.join();
    if (!taken) {
      // It may be on its way back.
      auto job = Await(world.queue().Take(JobKind::kAny, this->Never()));
      ASSERT_TRUE(job && *job);
      EXPECT_EQ((*job)->lost, 0u);
      taken = **std::move(job);
    }
    EXPECT_EQ(taken->lease.id, SampleJob(round, size)->digest());
    jobs.Finish(taken->lease);
  }
  EXPECT_EQ(world.queue().Counts().leased, 0u);
}

TYPED_TEST_P(JobTakersContract, ServesManyThreadsAtOnce) {
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

REGISTER_TYPED_TEST_SUITE_P(JobTakersContract, OneOfManySubmitsAtOnceQueues, AWaitingTakerGetsTheNextJob,
                            ATakerGivesUpAtItsTime, OneJobEndsOneWait, ACancelledTakerTakesNothingAway,
                            ServesManyThreadsAtOnce);

}  // namespace lazaret
