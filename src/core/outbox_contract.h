#pragma once

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <set>
#include <string>
#include <vector>

#include "core/job_samples.h"

namespace lazaret {

// What every Outbox must do, together with the JobQueue that fills it. The World is that of JobQueueContract.
template <class World>
class OutboxContract : public testing::Test {
 protected:
  static constexpr milliseconds kLease{10'000};
  static constexpr milliseconds kMs{1};

  static Callback To(std::size_t number) { return {"https://client.example/" + std::to_string(number), "a name"}; }
  // What is due at once.
  std::optional<Delivery> TakeDue(Outbox& outbox) {
    auto delivery = Await(outbox.TakeDue(kLease, clock_.SteadyNow()));
    EXPECT_TRUE(delivery) << delivery.error().what;
    return delivery ? *std::move(delivery) : std::nullopt;
  }
  Delivery MustTakeDue(Outbox& outbox) {
    auto delivery = TakeDue(outbox);
    if (!delivery) throw std::runtime_error("nothing is due");
    return *std::move(delivery);
  }
  void Add(Outbox& outbox, std::size_t number) {
    JobDriver::Expect(outbox.Add(SampleDigest(number), SampleInfected(clock_), To(number)));
  }

  FakeClock clock_;
  JobPolicy policy_{};
};

TYPED_TEST_SUITE_P(OutboxContract);

TYPED_TEST_P(OutboxContract, AFinishedJobMakesItsCallbacksDue) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (const JobState end : {JobState::kDone, JobState::kDead}) {
    const ContentPtr content = SampleJob(static_cast<std::size_t>(end));
    jobs.Submit(content, this->To(1));
    jobs.Submit(content, this->To(2));
    EXPECT_FALSE(this->TakeDue(world.outbox()));
    const Lease lease = jobs.MustTake().lease;
    jobs.Submit(content, Callback{"https://client.example/3", ""});
    EXPECT_EQ(world.outbox().waiting(), 0u);
    jobs.Finish(lease, end);
    EXPECT_EQ(world.outbox().waiting(), 3u);
    std::set<std::string> urls;
    for (int i = 0; i < 3; ++i) {
      const Delivery delivery = this->MustTakeDue(world.outbox());
      EXPECT_EQ(delivery.id, content->digest());
      EXPECT_TRUE(delivery.message_id.starts_with("msg_")) << delivery.message_id;
      EXPECT_EQ(delivery.attempts, 0u);
      EXPECT_EQ(delivery.callback.name, delivery.callback.url.ends_with("3") ? "" : "a name");
      ExpectSame(*delivery.verdict, *jobs.VerdictFor(end));
      urls.insert(delivery.callback.url);
      JobDriver::Expect(world.outbox().Close(delivery.number));
    }
    EXPECT_EQ(urls.size(), 3u);
    EXPECT_FALSE(this->TakeDue(world.outbox()));
    EXPECT_EQ(world.outbox().waiting(), 0u);
  }
}

TYPED_TEST_P(OutboxContract, TheSameCallbackIsToldOnce) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const ContentPtr content = SampleJob(1);
  for (int i = 0; i < 3; ++i) jobs.Submit(content, Callback{"https://a.example/", "x"});
  jobs.Submit(content, Callback{"https://a.example/", "y"});
  jobs.Submit(content, Callback{"https://a.example/x", ""});
  jobs.Finish(jobs.MustTake().lease);
  EXPECT_EQ(world.outbox().waiting(), 3u);
  // Another scan is another message.
  jobs.Submit(content, Callback{"https://a.example/", "x"});
  jobs.Finish(jobs.MustTake().lease);
  EXPECT_EQ(world.outbox().waiting(), 4u);
}

TYPED_TEST_P(OutboxContract, RefusesTooManyCallbacksForOneJob) {
  this->policy_.max_callbacks = 3;
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  const ContentPtr content = SampleJob(1);
  for (std::size_t i = 0; i < 3; ++i) jobs.Submit(content, this->To(i));
  EXPECT_EQ(jobs.SubmitError(content, this->To(3)), Errc::kOverloaded);
  EXPECT_EQ(jobs.Submit(content, this->To(2)), Submitted::kAttached) << "this one waits already";
  EXPECT_EQ(jobs.Submit(content), Submitted::kAttached);
  jobs.Submit(SampleJob(2), this->To(3));
  jobs.Finish(jobs.MustTake().lease);
  EXPECT_EQ(world.outbox().waiting(), 3u);
}

TYPED_TEST_P(OutboxContract, AScanThatNeededNoJobIsTold) {
  TypeParam world(this->clock_, this->policy_);
  this->Add(world.outbox(), 1);
  EXPECT_EQ(world.outbox().waiting(), 1u);
  const Delivery delivery = this->MustTakeDue(world.outbox());
  EXPECT_EQ(delivery.id, SampleDigest(1));
  EXPECT_EQ(delivery.callback, this->To(1));
  ExpectSame(*delivery.verdict, *SampleInfected(this->clock_));
}

TYPED_TEST_P(OutboxContract, MessagesOutliveTheirJob) {
  this->policy_.keep_done = milliseconds(10);
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1), this->To(1));
  jobs.Finish(jobs.MustTake().lease);
  JobDriver::Expect(world.queue().Drop(SampleJob(1)->digest()));
  jobs.Submit(SampleJob(2), this->To(2));
  jobs.Finish(jobs.MustTake().lease);
  this->clock_.Advance(milliseconds(10));
  jobs.Submit(SampleJob(3));
  EXPECT_FALSE(jobs.Find(SampleJob(2)->digest()));
  for (int i = 0; i < 2; ++i) EXPECT_NE(this->MustTakeDue(world.outbox()).verdict, nullptr);
}

TYPED_TEST_P(OutboxContract, ADroppedJobTellsNobody) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  jobs.Submit(SampleJob(1), this->To(1));
  JobDriver::Expect(world.queue().Drop(SampleJob(1)->digest()));
  jobs.Submit(SampleJob(1));
  jobs.Finish(jobs.MustTake().lease);
  EXPECT_EQ(world.outbox().waiting(), 0u);
  EXPECT_FALSE(this->TakeDue(world.outbox()));
}

TYPED_TEST_P(OutboxContract, AMessageIsOneTakersDuringItsLease) {
  TypeParam world(this->clock_, this->policy_);
  this->Add(world.outbox(), 1);
  const Delivery first = this->MustTakeDue(world.outbox());
  EXPECT_FALSE(this->TakeDue(world.outbox()));
  EXPECT_EQ(world.outbox().waiting(), 1u);
  this->clock_.Advance(this->kLease - this->kMs);
  EXPECT_FALSE(this->TakeDue(world.outbox()));
  this->clock_.Advance(this->kMs);
  const Delivery again = this->MustTakeDue(world.outbox());
  EXPECT_EQ(again.message_id, first.message_id);
  EXPECT_EQ(again.number, first.number);
  JobDriver::Expect(world.outbox().Close(again.number));
  this->clock_.Advance(this->kLease);
  EXPECT_FALSE(this->TakeDue(world.outbox()));
}

TYPED_TEST_P(OutboxContract, APostponedMessageComesAgain) {
  TypeParam world(this->clock_, this->policy_);
  this->Add(world.outbox(), 1);
  const Delivery first = this->MustTakeDue(world.outbox());
  JobDriver::Expect(world.outbox().Postpone(first.number, milliseconds(100)));
  EXPECT_EQ(world.outbox().waiting(), 1u);
  this->clock_.Advance(milliseconds(99));
  EXPECT_FALSE(this->TakeDue(world.outbox()));
  this->Add(world.outbox(), 2);
  const Delivery other = this->MustTakeDue(world.outbox());
  EXPECT_EQ(other.id, SampleDigest(2)) << "the pause holds nobody else up";
  EXPECT_NE(other.message_id, first.message_id);
  this->clock_.Advance(this->kMs);
  const Delivery again = this->MustTakeDue(world.outbox());
  EXPECT_EQ(again.number, first.number);
  EXPECT_EQ(again.message_id, first.message_id);
  EXPECT_EQ(again.attempts, 1u);
  JobDriver::Expect(world.outbox().Postpone(again.number, milliseconds(0)));
  EXPECT_EQ(this->MustTakeDue(world.outbox()).attempts, 2u);
}

TYPED_TEST_P(OutboxContract, AReturnedMessageComesAgainUncounted) {
  TypeParam world(this->clock_, this->policy_);
  this->Add(world.outbox(), 1);
  const Delivery first = this->MustTakeDue(world.outbox());
  JobDriver::Expect(world.outbox().Return(first.number, milliseconds(100)));
  EXPECT_EQ(world.outbox().waiting(), 1u);
  this->clock_.Advance(milliseconds(99));
  EXPECT_FALSE(this->TakeDue(world.outbox()));
  this->clock_.Advance(this->kMs);
  const Delivery again = this->MustTakeDue(world.outbox());
  EXPECT_EQ(again.number, first.number);
  EXPECT_EQ(again.message_id, first.message_id);
  EXPECT_EQ(again.attempts, 0u);
  JobDriver::Expect(world.outbox().Postpone(again.number, milliseconds(0)));
  JobDriver::Expect(world.outbox().Return(this->MustTakeDue(world.outbox()).number, milliseconds(0)));
  EXPECT_EQ(this->MustTakeDue(world.outbox()).attempts, 1u);
}

TYPED_TEST_P(OutboxContract, WhatIsClosedIsUnknown) {
  TypeParam world(this->clock_, this->policy_);
  this->Add(world.outbox(), 1);
  const std::uint64_t number = this->MustTakeDue(world.outbox()).number;
  JobDriver::Expect(world.outbox().Close(number));
  EXPECT_EQ(JobDriver::ErrorOf(world.outbox().Close(number)), Errc::kNotFound);
  EXPECT_EQ(JobDriver::ErrorOf(world.outbox().Postpone(number, milliseconds(0))), Errc::kNotFound);
  EXPECT_EQ(JobDriver::ErrorOf(world.outbox().Return(number, milliseconds(0))), Errc::kNotFound);
  this->Add(world.outbox(), 2);
  EXPECT_NE(this->MustTakeDue(world.outbox()).number, number) << "a number is used once";
}

TYPED_TEST_P(OutboxContract, AWaitingTakerGetsTheNextMessage) {
  TypeParam world(this->clock_, this->policy_);
  JobDriver jobs(world.queue(), this->clock_);
  for (int i = 0; i < 3; ++i) {
    boost::asio::io_context io;
    auto taken = boost::asio::co_spawn(
        io, world.outbox().TakeDue(this->kLease, this->clock_.SteadyNow() + std::chrono::hours(1)),
        boost::asio::use_future);
    io.run_for(milliseconds(10));
    if (i == 1) {
      this->Add(world.outbox(), 1);
    } else {
      jobs.Submit(SampleJob(1), this->To(1));
      jobs.Finish(jobs.MustTake().lease);
    }
    io.restart();
    io.run();
    const auto delivery = taken.get();
    ASSERT_TRUE(delivery && *delivery);
    EXPECT_EQ((*delivery)->callback, this->To(1));
  }
  const auto none = Await(world.outbox().TakeDue(this->kLease, this->clock_.SteadyNow() + milliseconds(5)));
  EXPECT_TRUE(none && !*none);
}

TYPED_TEST_P(OutboxContract, ACancelledTakerTakesNothingAway) {
  TypeParam world(this->clock_, this->policy_);
  for (std::size_t round = 0; round < 40; ++round) {
    boost::asio::io_context io;
    boost::asio::cancellation_signal cancel;
    std::optional<Delivery> taken;
    const auto take = [&]() -> aio::Task<> {
      auto delivery = co_await world.outbox().TakeDue(this->kLease, this->clock_.SteadyNow() + std::chrono::hours(1));
      if (delivery && *delivery) taken = **std::move(delivery);
    };
    boost::asio::co_spawn(io, take(), boost::asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {}));
    const std::size_t stage = round % 3;
    if (stage > 0) io.run_for(milliseconds(2));
    this->Add(world.outbox(), round);
    if (stage != 1) {
      io.restart();
      io.run_for(std::chrono::microseconds(round * 20));
    }
    cancel.emit(boost::asio::cancellation_type::terminal);
    io.restart();
    io.run();
    if (!taken) {
      auto delivery = Await(world.outbox().TakeDue(this->kLease, this->clock_.SteadyNow() + std::chrono::hours(1)));
      ASSERT_TRUE(delivery && *delivery);
      taken = **std::move(delivery);
    }
    EXPECT_EQ(taken->id, SampleDigest(round));
    JobDriver::Expect(world.outbox().Close(taken->number));
  }
}

REGISTER_TYPED_TEST_SUITE_P(OutboxContract, AFinishedJobMakesItsCallbacksDue, TheSameCallbackIsToldOnce,
                            RefusesTooManyCallbacksForOneJob, AScanThatNeededNoJobIsTold, MessagesOutliveTheirJob,
                            ADroppedJobTellsNobody, AMessageIsOneTakersDuringItsLease, APostponedMessageComesAgain,
                            AReturnedMessageComesAgainUncounted, WhatIsClosedIsUnknown, AWaitingTakerGetsTheNextMessage,
                            ACancelledTakerTakesNothingAway);

}  // namespace lazaret
