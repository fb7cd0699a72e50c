#include "embedded/sqlite_job_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>

#include <set>
#include <thread>
#include <vector>

#include "embedded/job_queue_samples.h"
#include "embedded/job_store.h"

namespace lazaret::embedded {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr std::size_t kSmall = 100;
constexpr std::size_t kLarge = 100'000;  // more than lies in the database

TEST_F(SqliteJobQueueTest, RemembersAcrossRestarts) {
  Open();
  for (const std::size_t size : {std::size_t{0}, kSmall, std::size_t{65536}, kLarge}) {
    jobs_->Submit(SampleJob(size, size), Callback{"https://a.example/" + std::to_string(size), "name"});
    clock_.Advance(milliseconds(1));
  }
  jobs_->Finish(jobs_->MustTake().lease);
  JobDriver::Expect(queue_->Retry(jobs_->MustTake().lease, milliseconds(100), "it crashed"));
  JobDriver::Expect(queue_->Add(SampleDigest(5), SampleInfected(clock_), {"https://b.example/", ""}));
  const JobCounts before = queue_->Counts();
  clock_.Advance(milliseconds(50));

  Open();
  const JobCounts counts = queue_->Counts();
  EXPECT_EQ(counts.queued, 3u);
  EXPECT_EQ(counts.done, 1u);
  EXPECT_EQ(counts.bytes, before.bytes);
  EXPECT_EQ(counts.oldest, before.oldest);
  EXPECT_EQ(queue_->waiting(), 2u);
  const Job done = jobs_->MustFind(SampleJob(0, 0)->digest());
  ASSERT_NE(done.verdict, nullptr);
  EXPECT_EQ(done.verdict->kind(), VerdictKind::kInfected);
  const Job paused = jobs_->MustFind(SampleJob(kSmall)->digest());
  EXPECT_EQ(paused.attempts, 1u);
  EXPECT_EQ(paused.note, "it crashed");
  for (const std::size_t size : {std::size_t{65536}, kLarge}) {
    LeasedJob job = jobs_->MustTake();
    ASSERT_TRUE(job.content) << job.content.error().what;
    ExpectWhole(**job.content, SampleBytes(size, size));
    jobs_->Finish(job.lease);
  }
  EXPECT_FALSE(jobs_->Take()) << "the pause goes on";
  clock_.Advance(milliseconds(50));
  jobs_->Finish(jobs_->MustTake().lease);
  std::set<std::string> urls;
  for (int i = 0; i < 5; ++i)
    urls.insert(Await(queue_->TakeDue(seconds(10), clock_.SteadyNow())).value()->callback.url);
  EXPECT_THAT(urls, ElementsAre("https://a.example/0", "https://a.example/100", "https://a.example/100000",
                                "https://a.example/65536", "https://b.example/"));
}

TEST_F(SqliteJobQueueTest, LeasesEndWithTheProcess) {
  Open();
  jobs_->Submit(SampleJob(1));
  jobs_->Submit(SampleJob(2));
  const Lease first = jobs_->MustTake().lease;
  jobs_->Submit(SampleJob(3));  // and the lease is on the disk
  std::set<std::uint64_t> tokens = {first.token};
  for (std::uint32_t lost = 1; lost <= 3; ++lost) {
    Open();
    EXPECT_EQ(queue_->Counts().leased, 0u);
    EXPECT_EQ(queue_->Counts().queued, 3u);
    EXPECT_EQ(JobDriver::ErrorOf(queue_->Finish(first, SampleClean(clock_), JobState::kDone)), Errc::kNotFound);
    const LeasedJob again = jobs_->MustTake();
    EXPECT_EQ(again.lease.id, first.id);
    EXPECT_EQ(again.lost, lost);
    EXPECT_EQ(again.attempts, 0u);
    EXPECT_TRUE(tokens.insert(again.lease.token).second) << "a token came again";
    jobs_->Submit(SampleJob(1));
    JobDriver::Expect(queue_->Drop(SampleJob(3)->digest()));
    jobs_->Submit(SampleJob(3));
  }
}

TEST_F(SqliteJobQueueTest, ADamagedVerdictIsCorruptAndNeverAVerdict) {
  Open();
  const Digest id = SampleJob(1)->digest();
  for (const std::string damage :
       {"UPDATE jobs SET verdict = x'01'", "UPDATE jobs SET verdict = NULL", "UPDATE jobs SET finished_at = NULL",
        "UPDATE jobs SET verdict = CAST(substr(verdict, 1, 20) || 'x' || substr(verdict, 22) AS BLOB)",
        "UPDATE jobs SET state = 1, lane = 1", "UPDATE jobs SET state = 7"}) {
    jobs_->SubmitAndFinish(SampleJob(1));
    Run(damage);
    const auto found = Await(queue_->Find(id));
    ASSERT_FALSE(found) << damage;
    EXPECT_EQ(found.error().code, Errc::kCorrupt) << damage;
    EXPECT_THAT(found.error().what, HasSubstr(id.Hex())) << damage;
    EXPECT_TRUE(queue_->CheckRoom(1)) << "one verdict is not the queue";
    Run("DELETE FROM jobs");
    Open();
  }
}

TEST_F(SqliteJobQueueTest, ADamagedVerdictDoesNotHideTheOtherJobs) {
  Open();
  for (std::size_t i = 1; i <= 3; ++i) jobs_->SubmitAndFinish(SampleJob(i));
  for (const std::string damage : {"verdict = x'01'", "verdict = NULL", "finished_at = NULL"}) {
    Run("UPDATE jobs SET " + damage + " WHERE seq = 2");
    for (const JobFilter& filter : {JobFilter{}, JobFilter{.state = JobState::kDone}}) {
      const auto listed = Await(queue_->List(filter));
      ASSERT_TRUE(listed) << damage << ": " << listed.error().what;
      ASSERT_THAT(*listed, SizeIs(3)) << damage;
      EXPECT_NE((*listed)[0].verdict, nullptr);
      EXPECT_EQ((*listed)[1].id, SampleJob(2)->digest());
      EXPECT_EQ((*listed)[1].verdict, nullptr) << damage;
      EXPECT_THAT((*listed)[1].note, HasSubstr("damaged")) << damage;
      EXPECT_NE((*listed)[2].verdict, nullptr);
    }
    EXPECT_EQ(Await(queue_->Find(SampleJob(2)->digest())).error().code, Errc::kCorrupt) << damage;
  }
}

TEST_F(SqliteJobQueueTest, ListsUnfinishedJobsOfAllLanes) {
  settings_.policy.small_size = kSmall;
  Open();
  for (std::size_t i = 1; i <= 8; ++i) jobs_->Submit(SampleJob(i, i % 2 == 0 ? kSmall : 5000));
  JobDriver::Expect(queue_->Retry(jobs_->MustTake().lease, seconds(100), "paused"));
  const Digest leased = jobs_->MustTake().lease.id;
  jobs_->Submit(SampleJob(9, kSmall));  // and the lease is on the disk
  const auto ids = [&](JobState state, std::size_t limit) {
    std::vector<Digest> found;
    for (const Job& job : Await(queue_->List({.state = state, .limit = limit})).value()) found.push_back(job.id);
    return found;
  };
  EXPECT_THAT(ids(JobState::kLeased, 10), ElementsAre(leased));
  const auto all = ids(JobState::kQueued, 10);
  ASSERT_THAT(all, SizeIs(8));
  EXPECT_EQ(all[0], SampleJob(9, kSmall)->digest());
  EXPECT_EQ(all[1], SampleJob(8, kSmall)->digest());
  EXPECT_EQ(all[2], SampleJob(7, 5000)->digest());
  EXPECT_EQ(all[7], SampleJob(1, 5000)->digest()) << "the one that is paused";
  EXPECT_EQ(ids(JobState::kQueued, 3), std::vector(all.begin(), all.begin() + 3));
}

TEST_F(SqliteJobQueueTest, AMessageThatCannotBeReadIsDropped) {
  Open();
  for (std::size_t i = 1; i <= 2; ++i) {
    JobDriver::Expect(queue_->Add(SampleDigest(i), SampleInfected(clock_), {"https://a.example/", ""}));
  }
  Run("UPDATE messages SET verdict = x'0102' WHERE number = 1");
  const auto delivery = Await(queue_->TakeDue(seconds(1), clock_.SteadyNow()));
  ASSERT_TRUE(delivery && *delivery);
  EXPECT_EQ((*delivery)->id, SampleDigest(2));
  JobDriver::Expect(queue_->Close((*delivery)->number));
  EXPECT_EQ(queue_->waiting(), 0u);
}

TEST_F(SqliteJobQueueTest, LeasedMessagesAreDueWhenTheirLeaseEndsAndAfterARestart) {
  Open();
  const auto take = [&] { return Await(queue_->TakeDue(seconds(10), clock_.SteadyNow())).value(); };
  JobDriver::Expect(queue_->Add(SampleDigest(1), SampleInfected(clock_), {"https://a.example/", ""}));
  ASSERT_TRUE(take());
  EXPECT_EQ(Query("SELECT min(due_at) FROM messages"), (clock_.Now() + seconds(10)).time_since_epoch().count())
      << "the first that is due is found without a walk";
  EXPECT_FALSE(take());
  clock_.Advance(seconds(10) - milliseconds(1));
  EXPECT_FALSE(take());
  clock_.Advance(milliseconds(1));
  EXPECT_TRUE(take());
  Open();
  EXPECT_TRUE(take()) << "whoever had it is gone";
}

TEST_F(SqliteJobQueueTest, ForgottenJobsLeaveNothingBehind) {
  settings_.policy.keep_done = settings_.policy.keep_dead = milliseconds(1000);
  Open();
  for (std::size_t i = 0; i < 30; ++i) {
    jobs_->SubmitAndFinish(SampleJob(i, i % 2 == 0 ? kSmall : kLarge), i % 3 == 0 ? JobState::kDead : JobState::kDone);
  }
  EXPECT_THAT(Files(), SizeIs(5));
  clock_.Advance(milliseconds(1000));
  jobs_->Submit(SampleJob(99));
  EXPECT_EQ(Query("SELECT count(*) FROM jobs"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM contents"), 1);
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_EQ(queue_->Counts().dead + queue_->Counts().done, 0u);
}

TEST_F(SqliteJobQueueTest, ATighterPolicyHoldsForWhatIsThere) {
  Open();
  for (std::size_t i = 0; i < 10; ++i) {
    jobs_->SubmitAndFinish(SampleJob(i), i % 2 == 0 ? JobState::kDead : JobState::kDone);
    clock_.Advance(milliseconds(1));
  }
  settings_.policy.max_done = 2;
  settings_.policy.max_dead = 3;
  settings_.policy.max_dead_bytes = 2 * kSmall;
  Open();
  jobs_->Submit(SampleJob(99));
  EXPECT_EQ(queue_->Counts().done, 2u);
  EXPECT_EQ(queue_->Counts().dead, 3u);
  EXPECT_EQ(Query("SELECT count(*) FROM contents"), 3);
  EXPECT_FALSE(jobs_->MustFind(SampleJob(4)->digest()).has_content);
  EXPECT_TRUE(jobs_->MustFind(SampleJob(8)->digest()).has_content);
}

// With the time of the system: nothing but the writer's own timer makes these happen.
class SqliteJobQueueTimers : public SqliteJobQueueTest {
 protected:
  void OpenNow() {
    queue_ = MustOpenQueue(settings_, pool_, system_, log_);
    jobs_ = std::make_unique<JobDriver>(*queue_, system_);
  }
  LeasedJob Wait() {
    auto job = Await(queue_->Take(JobKind::kAny, SteadyTime::max()));
    if (!job || !*job) throw std::runtime_error("no job");
    return **std::move(job);
  }
  SystemClock system_;
};

TEST_F(SqliteJobQueueTimers, TheEndOfAPauseEndsAWait) {
  OpenNow();
  jobs_->Submit(SampleJob(1));
  for (std::uint32_t attempts = 1; attempts < 4; ++attempts) {
    JobDriver::Expect(queue_->Retry(jobs_->MustTake().lease, milliseconds(30), ""));
    const LeasedJob job = Wait();
    EXPECT_EQ(job.attempts, attempts);
    JobDriver::Expect(queue_->Release(job.lease));
  }
}

TEST_F(SqliteJobQueueTimers, TheEndOfALeaseEndsAWait) {
  settings_.policy.lease = milliseconds(30);
  OpenNow();
  jobs_->Submit(SampleJob(1));
  jobs_->MustTake();
  for (std::uint32_t lost = 1; lost < 4; ++lost) EXPECT_EQ(Wait().lost, lost);
}

TEST_F(SqliteJobQueueTimers, AMessageThatWasPostponedEndsAWait) {
  OpenNow();
  JobDriver::Expect(queue_->Add(SampleDigest(1), SampleInfected(system_), {"https://a.example/", ""}));
  for (std::uint32_t attempts = 0; attempts < 3; ++attempts) {
    const auto delivery = Await(queue_->TakeDue(seconds(100), SteadyTime::max()));
    ASSERT_TRUE(delivery && *delivery);
    EXPECT_EQ((*delivery)->attempts, attempts);
    JobDriver::Expect(queue_->Postpone((*delivery)->number, milliseconds(20)));
  }
  const auto leased = Await(queue_->TakeDue(milliseconds(20), SteadyTime::max()));
  const auto again = Await(queue_->TakeDue(milliseconds(20), SteadyTime::max()));
  EXPECT_EQ(again.value()->number, leased.value()->number);
}

TEST_F(SqliteJobQueueTimers, ForgetsWhenIdle) {
  settings_.policy.keep_done = milliseconds(20);
  OpenNow();
  for (std::size_t i = 0; i < 250; ++i) jobs_->SubmitAndFinish(SampleJob(i, 10 + i));
  while (queue_->Counts().done > 0) std::this_thread::yield();
  EXPECT_EQ(Query("SELECT count(*) FROM jobs"), 0);
}

TEST_F(SqliteJobQueueTest, SmallJobsGoToThoseWhoTakeNoOthers) {
  Open();
  settings_.policy.small_size = kSmall;
  Open();
  asio::io_context io;
  const auto never = clock_.SteadyNow() + std::chrono::hours(1);
  auto any = asio::co_spawn(io, queue_->Take(JobKind::kAny, never), asio::use_future);
  io.run_for(milliseconds(10));
  auto small = asio::co_spawn(io, queue_->Take(JobKind::kSmall, never), asio::use_future);
  io.run_for(milliseconds(10));
  jobs_->Submit(SampleJob(1, kSmall));
  jobs_->Submit(SampleJob(2, kLarge));
  io.restart();
  io.run();
  EXPECT_EQ(small.get().value()->lease.id, SampleJob(1, kSmall)->digest());
  EXPECT_EQ(any.get().value()->lease.id, SampleJob(2, kLarge)->digest());
}

// Starts `count` submits while another connection holds the write lock; returns how each ended.
template <class Submit>
std::vector<Result<Submitted>> SubmitBehindALock(const std::string& file, std::size_t count, Submit submit) {
  auto other = MustConnect(file);
  EXPECT_TRUE(other.Execute("BEGIN IMMEDIATE"));
  asio::io_context io;
  std::vector<std::future<Result<Submitted>>> submits;
  for (std::size_t i = 0; i < count; ++i) submits.push_back(asio::co_spawn(io, submit(i), asio::use_future));
  io.poll();
  EXPECT_TRUE(other.Execute("COMMIT"));
  io.restart();
  io.run();
  std::vector<Result<Submitted>> results;
  for (auto& one : submits) results.push_back(one.get());
  return results;
}

TEST_F(SqliteJobQueueTest, CommitsConcurrentSubmitsTogether) {
  Open();
  const auto before = queue_->stats();
  const auto results =
      SubmitBehindALock(File(), 500, [&](std::size_t i) { return queue_->Submit(SampleJob(i), std::nullopt); });
  for (const auto& submitted : results) EXPECT_TRUE(submitted);
  EXPECT_EQ(queue_->stats().writes - before.writes, 500u);
  EXPECT_LE(queue_->stats().write_groups - before.write_groups, 2u);
  EXPECT_EQ(queue_->Counts().queued, 500u);
}

TEST_F(SqliteJobQueueTest, AChangeThatFailsUndoesOnlyItself) {
  settings_.policy.max_callbacks = 1;
  settings_.policy.max_bytes = 10'000;
  settings_.max_messages = 11;
  Open();
  jobs_->Submit(SampleJob(0), Callback{"https://a.example/", ""});
  const auto results = SubmitBehindALock(File(), 40, [&](std::size_t i) {
    // These fail when they are nearly done.
    if (i >= 30) return queue_->Submit(SampleJob(i), Callback{"https://a.example/", ""});
    if (i % 3 == 0) return queue_->Submit(SampleJob(0), Callback{"https://b.example/" + std::to_string(i), ""});
    if (i % 3 == 1) return queue_->Submit(SampleJob(i, 9901), std::nullopt);
    return queue_->Submit(SampleJob(i), Callback{"https://a.example/", ""});
  });
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i % 3 == 2 && i < 30) {
      EXPECT_TRUE(results[i]) << i;
    } else {
      EXPECT_EQ(results[i].error().code, Errc::kOverloaded) << i;
    }
  }
  EXPECT_EQ(queue_->Counts().queued, 11u);
  EXPECT_EQ(queue_->Counts().bytes, 11u * 100);
  EXPECT_EQ(Query("SELECT count(*) FROM jobs"), 11);
  EXPECT_EQ(Query("SELECT count(*) FROM contents"), 11);
  EXPECT_EQ(Query("SELECT count(*) FROM callbacks"), 11);
}

TEST_F(SqliteJobQueueTest, RefusesToQueueMoreSubmitsThanItMay) {
  settings_.max_queued = 20;
  Open();
  jobs_->Submit(SampleJob(100));
  const Lease lease = jobs_->MustTake().lease;
  std::future<Result<void>> finished;
  asio::io_context io;
  {
    auto other = MustConnect(File());
    ASSERT_TRUE(other.Execute("BEGIN IMMEDIATE"));
    std::vector<std::future<Result<Submitted>>> submits;
    for (std::size_t i = 0; i < 22; ++i) {
      submits.push_back(asio::co_spawn(io, queue_->Submit(SampleJob(i), std::nullopt), asio::use_future));
    }
    finished = asio::co_spawn(io, queue_->Finish(lease, SampleClean(clock_), JobState::kDone), asio::use_future);
    io.poll();
    ASSERT_TRUE(other.Execute("COMMIT"));
    io.restart();
    io.run();
    for (std::size_t i = 0; i < 22; ++i) {
      const auto submitted = submits[i].get();
      EXPECT_EQ(submitted.has_value(), i < 20) << i;
      if (!submitted) EXPECT_EQ(submitted.error().code, Errc::kOverloaded);
    }
  }
  EXPECT_TRUE(finished.get()) << "the end of a job is never refused";
  // What was written is counted until a moment after its answer.
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  Result<Submitted> submitted = Fail(Errc::kOverloaded, "");
  while (!submitted && std::chrono::steady_clock::now() < end) {
    submitted = Await(queue_->Submit(SampleJob(20), std::nullopt));
    if (!submitted) ASSERT_EQ(submitted.error().code, Errc::kOverloaded);
  }
  EXPECT_TRUE(submitted) << submitted.error().what;
}

// A content that memory had no room for.
class ContentInFile final : public Content {
 public:
  explicit ContentInFile(const std::string& bytes)
      : size_(bytes.size()), digest_(Sha256::Of(AsBytes(bytes))), fd_(*MakeSealedMemoryFile(AsBytes(bytes))) {}
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return size_; }
  Result<int> Descriptor() override { return fd_.Get(); }

 private:
  const std::uint64_t size_;
  const Digest digest_;
  const UniqueFd fd_;
};

TEST_F(SqliteJobQueueTest, SmallContentsInFilesTakeNoMemoryWhileTheyWait) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's malloc does not count";
#endif
  constexpr std::size_t kCount = 200;
  constexpr std::size_t kSize = 60'000;
  Open();
  const auto allocated = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
  std::size_t before = 0, during = 0;
  {
    asio::io_context io;
    std::vector<std::future<Result<Submitted>>> submits;
    auto other = MustConnect(File());
    ASSERT_TRUE(other.Execute("BEGIN IMMEDIATE"));
    before = allocated();
    for (std::size_t i = 0; i < kCount; ++i) {
      auto content = std::make_shared<ContentInFile>(SampleBytes(i, kSize));
      submits.push_back(asio::co_spawn(io, queue_->Submit(std::move(content), std::nullopt), asio::use_future));
    }
    io.poll();
    Await(pool_.Run([] { return 0; }));  // whoever would read them now has done so
    io.restart();
    io.poll();
    during = allocated();
    ASSERT_TRUE(other.Execute("COMMIT"));
    io.restart();
    io.run();
    for (auto& submit : submits) EXPECT_TRUE(submit.get());
  }
  EXPECT_LT(during, before + kCount * kSize / 2);
  const LeasedJob job = jobs_->MustTake();
  ASSERT_TRUE(job.content);
  ExpectWhole(**job.content, SampleBytes(0, kSize));
}

TEST_F(SqliteJobQueueTest, ASmallContentInAFileKeepsNoOtherWaitingWhileItIsRead) {
  Open();
  asio::io_context io;
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  for (int i = 0; i < 2; ++i) pool_.Post([ended] { ended.wait(); });
  auto in_file = asio::co_spawn(
      io, queue_->Submit(std::make_shared<ContentInFile>(SampleBytes(0, 60'000)), std::nullopt), asio::use_future);
  io.poll();
  EXPECT_EQ(jobs_->Submit(SampleJob(1)), Submitted::kQueued);
  io.restart();
  io.poll();
  EXPECT_EQ(in_file.wait_for(seconds(0)), std::future_status::timeout);
  end.set_value();
  io.restart();
  io.run();
  EXPECT_TRUE(in_file.get());
  EXPECT_EQ(Query("SELECT count(*) FROM jobs"), 2);
}

TEST_F(SqliteJobQueueTest, ClosingWritesWhatIsQueued) {
  asio::io_context io;
  std::vector<std::future<Result<Submitted>>> submits;
  Open();
  {
    auto other = MustConnect(File());
    ASSERT_TRUE(other.Execute("BEGIN IMMEDIATE"));
    for (std::size_t i = 0; i < 50; ++i) {
      submits.push_back(asio::co_spawn(io, queue_->Submit(SampleJob(i), std::nullopt), asio::use_future));
    }
    io.poll();
    ASSERT_TRUE(other.Execute("COMMIT"));
  }
  Close();
  EXPECT_EQ(Query("SELECT count(*) FROM jobs"), 50);
  io.restart();
  io.run();
  for (auto& submit : submits) EXPECT_TRUE(submit.get());
}

TEST_F(SqliteJobQueueTest, RefusesTooManyMessages) {
  settings_.max_messages = 3;
  Open();
  const auto to = [](std::size_t i) { return Callback{"https://a.example/" + std::to_string(i), ""}; };
  jobs_->Submit(SampleJob(1), to(1));
  jobs_->Submit(SampleJob(1), to(2));
  JobDriver::Expect(queue_->Add(SampleDigest(1), SampleClean(clock_), to(3)));
  EXPECT_EQ(jobs_->SubmitError(SampleJob(2), to(4)), Errc::kOverloaded);
  EXPECT_EQ(jobs_->Submit(SampleJob(1), to(1)), Submitted::kAttached);
  JobDriver::Expect(queue_->Add(SampleDigest(1), SampleClean(clock_), to(3)));  // waits already
  const auto refused = Await(queue_->Add(SampleDigest(1), SampleClean(clock_), to(5)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kOverloaded);
  EXPECT_EQ(refused.error().what, "too many callbacks wait: 3");
  EXPECT_EQ(jobs_->Submit(SampleJob(2)), Submitted::kQueued);
  jobs_->Finish(jobs_->MustTake().lease);
  EXPECT_EQ(jobs_->SubmitError(SampleJob(2), to(4)), Errc::kOverloaded);
  JobDriver::Expect(queue_->Close(Await(queue_->TakeDue(seconds(1), clock_.SteadyNow())).value()->number));
  EXPECT_EQ(jobs_->Submit(SampleJob(2), to(4)), Submitted::kAttached);
}

TEST_F(SqliteJobQueueTest, TheSameMessageWaitsOnce) {
  Open();
  const Callback callback{"https://a.example/", "name"};
  const auto add = [&](const VerdictPtr& verdict, const Callback& to) {
    JobDriver::Expect(queue_->Add(SampleDigest(1), verdict, to));
    return queue_->waiting();
  };
  EXPECT_EQ(add(SampleClean(clock_), callback), 1u);
  EXPECT_EQ(add(SampleClean(clock_), callback), 1u);
  EXPECT_EQ(add(SampleClean(clock_), {callback.url, "other"}), 2u);
  EXPECT_EQ(add(SampleClean(clock_), {callback.url + "x", "name"}), 3u);
  EXPECT_EQ(add(SampleInfected(clock_), callback), 4u) << "another verdict must be told";
  JobDriver::Expect(queue_->Close(Await(queue_->TakeDue(seconds(1), clock_.SteadyNow())).value()->number));
  EXPECT_EQ(add(SampleClean(clock_), callback), 4u) << "what was told can be told again";
}

TEST_F(SqliteJobQueueTest, EndsSoManyPausesAtOnce) {
  auto connection = OpenQueueDatabase(File()).value();
  // 1,001 pauses that are over, every second one of a large job.
  ASSERT_TRUE(connection.Execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) "
      "INSERT INTO jobs(id, state, lane, size, submitted_at, attempts, lost, note, content, available_at) "
      "SELECT CAST(printf('%032d', i) AS BLOB), 1, 3, iif(i % 2, 10, 5000000), i, 1, 0, '', 0, i FROM n"));
  const auto files = ContentFiles::Open(settings_.directory, pool_).value();
  auto messages = MessageRows::Prepare(connection).value();
  JobLeases leases;
  QueueChanges changes(leases, *files);
  JobStore store(JobRows::Prepare(connection).value(), messages, changes, leases, {}, 10, clock_);
  ASSERT_TRUE(store.Recover(connection));
  EXPECT_EQ(changes.state.ready_small, 500u);
  EXPECT_EQ(changes.state.ready_large, 500u);
  EXPECT_EQ(changes.state.paused, 1u);
  EXPECT_TRUE(store.PausesAreDue());
  ASSERT_TRUE(store.EndPauses());
  EXPECT_EQ(changes.state.ready_small, 501u);
  EXPECT_EQ(changes.state.paused, 0u);
  EXPECT_FALSE(store.PausesAreDue());
  EXPECT_EQ(connection.QueryInteger("SELECT count(*) FROM jobs WHERE lane IN (1, 2)").value(), 1001);
}

TEST_F(SqliteJobQueueTest, LongNotesAreCut) {
  Open();
  jobs_->Submit(SampleJob(1));
  JobDriver::Expect(queue_->Retry(jobs_->MustTake().lease, milliseconds(0), std::string(1024, 'x')));
  EXPECT_EQ(jobs_->MustFind(SampleJob(1)->digest()).note.size(), 1024u);
  JobDriver::Expect(queue_->Retry(jobs_->MustTake().lease, milliseconds(0), std::string(1025, 'x')));
  EXPECT_EQ(jobs_->MustFind(SampleJob(1)->digest()).note.size(), 1024u);
}

TEST_F(SqliteJobQueueTest, SaysWhatToDoAboutAFileThatIsNotItsOwn) {
  ASSERT_TRUE(MustConnect(File()).Execute("CREATE TABLE notes(text)"));
  const Error error = OpenError();
  EXPECT_EQ(error.code, Errc::kInternal);
  EXPECT_EQ(error.what, File() + " is a database of another program; configure another path for the job queue");
}

TEST_F(SqliteJobQueueTest, SaysWhatToDoAboutANewerFile) {
  Open();
  Close();
  Run("PRAGMA user_version=2");
  const Error error = OpenError();
  EXPECT_EQ(error.code, Errc::kInternal);
  EXPECT_THAT(error.what, StartsWith(File() + " was written by a newer Lazaret (schema 2, this one knows up to 1); run "
                                              "that one"));
}

TEST_F(SqliteJobQueueTest, NeverThrowsADamagedFileAway) {
  Open();
  for (std::size_t i = 0; i < 200; ++i) jobs_->Submit(SampleJob(i, 2000));
  Close();
  const auto size = fs::file_size(File());
  const auto damage = [&](std::uintmax_t from, std::uintmax_t to) {
    const UniqueFd fd(::open(File().c_str(), O_RDWR));
    const std::string junk(to - from, '\x5A');
    EXPECT_EQ(::pwrite(fd.Get(), junk.data(), junk.size(), static_cast<off_t>(from)),
              static_cast<ssize_t>(junk.size()));
  };
  for (const auto& [from, to] :
       {std::pair(size / 2, size / 2 + 8192), std::pair(std::uintmax_t{0}, std::uintmax_t{100})}) {
    damage(from, to);
    const Error error = OpenError();
    EXPECT_EQ(error.code, Errc::kCorrupt) << error.what;
    EXPECT_THAT(error.what, StartsWith("the job queue " + File() + " is damaged ("));
    EXPECT_THAT(error.what, HasSubstr("holds jobs that were accepted"));
    EXPECT_EQ(fs::file_size(File()), size) << "the file was touched";
  }
}

}  // namespace
}  // namespace lazaret::embedded
