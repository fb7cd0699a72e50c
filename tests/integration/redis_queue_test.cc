// The job queue of several nodes on one Redis.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "fleet/job_keys.h"
#include "integration/redis_queue_fixture.h"

namespace lazaret::tests {
namespace {

using fleet::RedisQueueSettings;
using testing::HasSubstr;

constexpr std::uint64_t kChunk = 512 * 1024;

class RedisQueueTest : public testing::Test {
 protected:
  RedisQueueTest() {
    // Nothing is asked by the way, so that commands can be counted.
    settings_.refresh = std::chrono::hours(1);
    settings_.watch = std::chrono::minutes(1);
    settings_.timeout = kPatience;
  }
  std::unique_ptr<QueueNode> MakeNode() { return std::make_unique<QueueNode>(server_.Url(), settings_, clock_); }
  std::string JobField(const Digest& id, const std::string& field) const {
    return server_.Ask({"HGET", fleet::ShardKeys(0).Job(id), field}).text();
  }
  std::size_t KeysLike(const std::string& pattern) const { return server_.Ask({"KEYS", pattern}).elements().size(); }

  RedisProcess server_;
  SystemClock clock_;
  RedisQueueSettings settings_;
};

TEST_F(RedisQueueTest, CountsItsRoundTrips) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  const auto round_trips = [&](auto work) {
    const std::uint64_t before = node->client().counters().round_trips;
    work();
    return node->client().counters().round_trips - before;
  };
  // The first run of a script teaches it to the server.
  jobs.SubmitAndFinish(SampleJob(1));
  jobs.Find(SampleJob(1)->digest());
  std::optional<LeasedJob> taken;
  EXPECT_EQ(round_trips([&] { jobs.Submit(SampleJob(2)); }), 1u);
  EXPECT_EQ(round_trips([&] { jobs.Submit(SampleJob(2)); }), 1u) << "attaching";
  EXPECT_EQ(round_trips([&] { taken = jobs.Take(); }), 1u);
  EXPECT_EQ(round_trips([&] { jobs.Find(taken->lease.id); }), 1u);
  EXPECT_EQ(round_trips([&] { jobs.Finish(taken->lease); }), 1u);
  const ContentPtr large = SampleJob(3, 3 * kChunk);
  EXPECT_EQ(round_trips([&] { jobs.Submit(large); }), 3u) << "whether it is needed, its chunks, and the job";
  EXPECT_EQ(round_trips([&] { jobs.Submit(large); }), 1u) << "nothing is written for a job that is there";
  EXPECT_EQ(round_trips([&] { taken = jobs.Take(); }), 2u) << "the job, and its chunks";
  EXPECT_EQ(round_trips([&] { EXPECT_TRUE((**node).CheckRoom(100)); }), 0u);
}

TEST_F(RedisQueueTest, KeepsContentsWhereTheyFit) {
  settings_.inline_size = 1000;
  settings_.max_content = 2 * kChunk;
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  const std::map<std::size_t, std::string> places = {
      {1000, "i"}, {1001, "c"}, {kChunk, "c"}, {kChunk + 1, "c"}, {2 * kChunk, "c"}};
  for (const auto& [size, place] : places) {
    const ContentPtr content = SampleJob(size, size);
    jobs.Submit(content);
    EXPECT_EQ(JobField(content->digest(), "place").substr(0, 1), place) << size;
    EXPECT_EQ(KeysLike("*content*"), place == "i" ? 0 : (size + kChunk - 1) / kChunk);
    for (const auto& key : server_.Ask({"KEYS", "*content*"}).elements()) {
      EXPECT_EQ(server_.Ask({"PTTL", key.text()}).integer(), -1) << "it is the job's now";
    }
    LeasedJob job = jobs.MustTake();
    ASSERT_TRUE(job.content) << job.content.error().what;
    ExpectWhole(**job.content, SampleBytes(size, size));
    jobs.Finish(job.lease);
    EXPECT_EQ(KeysLike("*content*"), 0u);
    EXPECT_EQ(JobField(content->digest(), "content"), "");
  }
  const auto refused = Await((**node).Submit(SampleJob(9, 2 * kChunk + 1), std::nullopt));
  EXPECT_THAT(refused, FailsWith(Errc::kTooLarge, "redis.content_directory"));
  EXPECT_THAT((**node).CheckRoom(2 * kChunk + 1), FailsWith(Errc::kTooLarge, "redis.max_content"));
  EXPECT_TRUE((**node).CheckRoom(2 * kChunk));
}

TEST_F(RedisQueueTest, SharesADirectoryForLargeContents) {
  const TestDirectory directory;
  settings_.inline_size = 100;
  settings_.max_content = 1000;
  const auto without = MakeNode();
  settings_.content_dir = directory / "shared";
  const auto one = MakeNode();
  const auto other = MakeNode();
  JobDriver here(**one, clock_);
  JobDriver there(**other, clock_);
  const auto files = [&] {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(settings_.content_dir)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    return found;
  };
  const ContentPtr content = SampleJob(1, 1001);
  here.Submit(content);
  ASSERT_EQ(files().size(), 1u);
  EXPECT_EQ(files()[0].parent_path().filename(), content->digest().Hex().substr(0, 2));
  // On a node that cannot read it that is an attempt that failed, and others may try.
  JobDriver elsewhere(**without, clock_);
  const LeasedJob unreadable = elsewhere.MustTake();
  EXPECT_THAT(unreadable.content, FailsWith(Errc::kUnavailable, "redis.content_directory"));
  ASSERT_TRUE(Await((**without).Retry(unreadable.lease, milliseconds(0), "not readable here")));
  std::optional<LeasedJob> job;
  EXPECT_TRUE(Eventually([&] { return (job = there.Take()).has_value(); }));
  EXPECT_EQ(job->lost, 0u);
  EXPECT_EQ(job->attempts, 1u);
  ASSERT_TRUE(job->content);
  ExpectWhole(**job->content, SampleBytes(1, 1001));
  there.Finish(job->lease);
  EXPECT_TRUE(Eventually([&] { return files().empty(); }));
  // One that was damaged, and one that is gone.
  for (const bool gone : {false, true}) {
    here.Submit(content);
    const auto file = files().at(0);
    if (gone) {
      std::filesystem::remove(file);
    } else {
      std::ofstream(file, std::ios::in | std::ios::out) << "damage";
    }
    job = there.MustTake();
    EXPECT_THAT(job->content, FailsWith(Errc::kCorrupt));
    JobDriver::Expect((**one).Drop(content->digest()));
    EXPECT_TRUE(Eventually([&] { return files().empty(); }));
  }
}

TEST_F(RedisQueueTest, FindsDamagedContents) {
  settings_.inline_size = 100;
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  const std::string key = fleet::ShardKeys(0).Job(SampleJob(1)->digest());
  jobs.Submit(SampleJob(1));
  server_.Ask({"HSET", key, "content", SampleBytes(2)});
  LeasedJob job = jobs.MustTake();
  EXPECT_THAT(job.content, FailsWith(Errc::kCorrupt));
  jobs.Finish(job.lease, JobState::kDead);
  const ContentPtr large = SampleJob(2, 2 * kChunk);
  for (const std::vector<std::string>& damage :
       {std::vector<std::string>{"DEL"}, {"SETRANGE", "100", "x"}, {"APPEND", "x"}, {"SET", "x"}}) {
    jobs.Submit(large);
    std::vector<std::string> command = damage;
    const std::string name = JobField(large->digest(), "place").substr(2, 16);
    command.insert(command.begin() + 1, fleet::ShardKeys(0).Chunk(large->digest(), name, 1));
    server_.Ask(command);
    job = jobs.MustTake();
    EXPECT_THAT(job.content, FailsWith(Errc::kCorrupt)) << damage[0];
    jobs.Finish(job.lease);
  }
}

TEST_F(RedisQueueTest, GivesEachJobToOneOfManyNodes) {
  constexpr std::size_t kNodes = 3;
  constexpr std::size_t kJobs = 300;
  settings_.shards = 4;
  std::vector<std::unique_ptr<QueueNode>> nodes;
  for (std::size_t i = 0; i < kNodes; ++i) nodes.push_back(MakeNode());
  std::mutex mutex;
  std::multiset<Digest> finished;
  std::atomic<std::size_t> left = kJobs;
  std::vector<std::future<bool>> workers;
  const auto work = [&](fleet::RedisJobQueue& queue) -> aio::Task<bool> {
    while (left > 0) {
      const auto job = co_await queue.Take(JobKind::kAny, clock_.SteadyNow() + milliseconds(200));
      if (!job) throw std::runtime_error(job.error().what);
      if (!*job) continue;
      const Lease lease = (*job)->lease;
      EXPECT_TRUE((*job)->content);
      const auto ended = co_await queue.Finish(lease, SampleClean(clock_), JobState::kDone);
      EXPECT_TRUE(ended) << ended.error().what;
      std::lock_guard lock(mutex);
      finished.insert(lease.id);
      --left;
    }
    co_return true;
  };
  for (auto& node : nodes) {
    for (int i = 0; i < 4; ++i) workers.push_back(node->client().io().Spawn(work(**node)));
  }
  for (std::size_t i = 0; i < kJobs; ++i) {
    JobDriver(**nodes[i % kNodes], clock_).Submit(SampleJob(i, i % 10 == 0 ? 100'000 : 100));
  }
  for (auto& worker : workers) EXPECT_TRUE(worker.get());
  EXPECT_EQ(finished.size(), kJobs);
  EXPECT_EQ(std::set<Digest>(finished.begin(), finished.end()).size(), kJobs);
}

TEST_F(RedisQueueTest, AJobOfAnotherNodeEndsAWait) {
  settings_.shards = 8;
  const auto here = MakeNode();
  const auto there = MakeNode();
  JobDriver jobs(**there, clock_);
  for (std::size_t i = 0; i < 50; ++i) {
    auto taken = here->client().io().Spawn((**here).Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1)));
    if (i % 2 == 0) std::this_thread::yield();
    jobs.Submit(SampleJob(i, i % 3 == 0 ? 2'000'000 : 100));
    const auto job = taken.get();
    ASSERT_TRUE(job && *job);
    EXPECT_EQ((*job)->lease.id, SampleJob(i, i % 3 == 0 ? 2'000'000 : 100)->digest());
    // Given back by its holder it ends the wait of the other.
    auto again = there->client().io().Spawn((**there).Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1)));
    JobDriver::Expect((**here).Release((*job)->lease));
    const auto second = again.get();
    ASSERT_TRUE(second && *second);
    jobs.Finish((*second)->lease);
  }
}

TEST_F(RedisQueueTest, AWaitingTakerAsksNothing) {
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  auto taken = node->client().io().Spawn((**node).Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1)));
  EXPECT_TRUE(
      Eventually([&] { return server_.Ask({"CLIENT", "LIST"}).text().find("cmd=xread") != std::string::npos; }));
  const std::uint64_t before = node->client().counters().round_trips;
  Pause(milliseconds(300));
  EXPECT_EQ(node->client().counters().round_trips, before);
  jobs.Submit(SampleJob(1));
  EXPECT_TRUE(taken.get().value());
}

TEST_F(RedisQueueTest, PausesAndLeasesEndByThemselves) {
  settings_.policy.lease = milliseconds(1000);
  const auto here = MakeNode();
  auto gone = MakeNode();
  JobDriver jobs(**here, clock_);
  jobs.Submit(SampleJob(1));
  const auto wait = [&] {
    return here->client().io().Spawn((**here).Take(JobKind::kAny, clock_.SteadyNow() + std::chrono::hours(1)));
  };
  const Lease first = jobs.MustTake().lease;
  JobDriver::Expect((**here).Retry(first, milliseconds(150), "crashed"));
  auto again = wait().get();
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->attempts, 1u);
  jobs.Finish((*again)->lease);
  // A worker that vanishes while another waits.
  jobs.Submit(SampleJob(2));
  const Lease lost = JobDriver(**gone, clock_).MustTake().lease;
  auto taken = wait();
  gone.reset();
  const auto over = taken.get();
  ASSERT_TRUE(over && *over);
  EXPECT_EQ((*over)->lost, 1u);
  EXPECT_EQ(JobDriver::ErrorOf((**here).Renew(lost)), Errc::kNotFound);
  jobs.Finish((*over)->lease);
}

TEST_F(RedisQueueTest, HearsWhatOtherNodesFinish) {
  settings_.shards = 4;
  const auto here = MakeNode();
  const auto there = MakeNode();
  JobDriver jobs(**there, clock_);
  std::mutex mutex;
  std::condition_variable news;
  std::multiset<Digest> heard;
  (**here).finished().Listen([&](const Digest& id) {
    std::lock_guard lock(mutex);
    heard.insert(id);
    news.notify_all();
  });
  const auto wait_for = [&](const Digest& id, std::size_t times) {
    std::unique_lock lock(mutex);
    return news.wait_for(lock, kPatience, [&] { return heard.count(id) >= times; });
  };
  std::vector<std::unique_ptr<fleet::FinishedFeed::Watch>> watches;
  for (std::size_t i = 0; i < 20; ++i) {
    const Digest id = SampleJob(i)->digest();
    jobs.Submit(SampleJob(i));
    watches.push_back(std::make_unique<fleet::FinishedFeed::Watch>((**here).finished(), id));
    jobs.Finish(jobs.MustTake().lease);
    EXPECT_TRUE(wait_for(id, 1)) << i;
  }
  watches.clear();
  // Not of those that nobody waits for.
  const ContentPtr other = SampleJob(100);
  jobs.SubmitAndFinish(other);
  const Digest last = SampleJob(101)->digest();
  jobs.Submit(SampleJob(101));
  const fleet::FinishedFeed::Watch watch((**here).finished(), last);
  jobs.Finish(jobs.MustTake().lease);
  EXPECT_TRUE(wait_for(last, 1));
  std::lock_guard lock(mutex);
  EXPECT_EQ(heard.count(other->digest()), 0u);
}

TEST_F(RedisQueueTest, NodesAgreeOnTheNumberOfShards) {
  settings_.shards = 8;
  const auto node = MakeNode();
  settings_.shards = 4;
  aio::BlockingPool disk(1);
  Log log(LogFormat::kText, LogLevel::kError);
  RunningClient client(server_.Url());
  const auto refused = Await(fleet::RedisJobQueue::Open(settings_, *client, disk, client.io().executor(), clock_, log));
  EXPECT_THAT(refused, FailsWith(Errc::kMalformed, "set redis.shards to 8"));
  server_.Ask({"SET", fleet::kShardsKey, "2:4"});
  const auto newer = Await(fleet::RedisJobQueue::Open(settings_, *client, disk, client.io().executor(), clock_, log));
  EXPECT_THAT(newer, FailsWith(Errc::kMalformed, "another version"));
}

TEST_F(RedisQueueTest, KeepsItsBoundsAcrossShards) {
  settings_.shards = 8;
  settings_.policy.max_jobs = 20;
  settings_.max_messages = 8;  // one a shard
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  for (std::size_t i = 0; i < 20; ++i) jobs.Submit(SampleJob(i));
  EXPECT_EQ(jobs.SubmitError(SampleJob(20)), Errc::kOverloaded);
  EXPECT_EQ((**node).CheckRoom(0).error().code, Errc::kOverloaded);
  jobs.Finish(jobs.MustTake().lease);
  jobs.Submit(SampleJob(20));
  for (std::size_t i = 0; i < 20; ++i) jobs.Finish(jobs.MustTake().lease);
  const Digest id = SampleDigest(1);
  const VerdictPtr verdict = SampleClean(clock_);
  JobDriver::Expect((**node).Add(id, verdict, {"https://a.example/1", ""}));
  JobDriver::Expect((**node).Add(id, verdict, {"https://a.example/1", ""}));
  EXPECT_EQ(JobDriver::ErrorOf((**node).Add(id, verdict, {"https://a.example/2", ""})), Errc::kOverloaded);
  EXPECT_EQ((**node).waiting(), 1u) << "the same message waits once";
}

TEST_F(RedisQueueTest, ShowsOperatorsWhoHasWhat) {
  settings_.node = "scanner-7";
  const auto node = MakeNode();
  JobDriver jobs(**node, clock_);
  jobs.Submit(SampleJob(1));
  const Lease lease = jobs.MustTake().lease;
  const auto pending = server_.Ask({"XPENDING", fleet::ShardKeys(0).small(), "workers", "-", "+", "10"});
  ASSERT_EQ(pending.elements().size(), 1u);
  EXPECT_THAT(pending.elements()[0].elements()[1].text(), testing::StartsWith("scanner-7:"));
  jobs.Finish(lease);
  EXPECT_EQ(server_.Ask({"XLEN", fleet::ShardKeys(0).small()}).integer(), 0);
  jobs.SubmitAndFinish(SampleJob(2), JobState::kDead);
  const auto dead = server_.Ask({"XRANGE", "lz:{q0}:dead", "-", "+"});
  ASSERT_EQ(dead.elements().size(), 1u);
  EXPECT_EQ(dead.elements()[0].elements()[1].elements()[1].text(), SampleJob(2)->digest().Hex());
}

}  // namespace
}  // namespace lazaret::tests
