// The contracts of the job queue, against redis-servers whose clock is the test's.
#include "core/job_bounds_contract.h"
#include "core/job_queue_contract.h"
#include "core/job_takers_contract.h"
#include "core/outbox_contract.h"
#include "integration/redis_clock.h"
#include "integration/redis_queue_fixture.h"

namespace lazaret {
namespace {

using namespace tests;

// One server, or one cluster, for all tests of a kind: started in real time, emptied before each test.
struct OneServer {
  RedisClock clock;
  RedisProcess server{RedisOptions{.environment = clock.environment()}};
  std::string Url() const { return server.Url(); }
  void Empty() const { server.Ask({"FLUSHALL"}); }
};
struct ThreeMasters {
  RedisClock clock;
  RedisCluster cluster{3, false, {}, clock.environment()};
  std::string Url() const { return cluster.Url(); }
  void Empty() {
    for (std::size_t i = 0; i < cluster.size(); ++i) cluster.node(i).Ask({"FLUSHALL"});
  }
};
// Lives as long as the program: the kernel ends its servers with it.
template <class Servers>
Servers& Shared() {
  static Servers servers;
  return servers;
}

template <class Servers, std::uint32_t kShards, std::uint64_t kInline>
class RedisWorld {
 public:
  RedisWorld(const FakeClock& clock, JobPolicy policy) : clock_(clock) {
    Shared<Servers>().Empty();
    clock_.Follow([](WallTime now) { Shared<Servers>().clock.Set(now); });
    node_ = std::make_unique<QueueNode>(
        Shared<Servers>().Url(), fleet::RedisQueueSettings{.policy = policy, .shards = kShards, .inline_size = kInline},
        clock);
  }
  ~RedisWorld() {
    node_.reset();
    clock_.Follow(nullptr);
    Shared<Servers>().clock.SetReal();
  }
  JobQueue& queue() { return **node_; }
  Outbox& outbox() { return **node_; }

 private:
  const FakeClock& clock_;
  std::unique_ptr<QueueNode> node_;
};

using Usual = RedisWorld<OneServer, 1, 64 * 1024>;
using AllInChunks = RedisWorld<OneServer, 1, 0>;
using Cluster = RedisWorld<ThreeMasters, 1, 64 * 1024>;
using Shards = RedisWorld<ThreeMasters, 8, 64 * 1024>;

INSTANTIATE_TYPED_TEST_SUITE_P(Redis, JobQueueContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, JobBoundsContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, JobTakersContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, OutboxContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisAndChunks, JobQueueContract, AllInChunks);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisAndChunks, JobBoundsContract, AllInChunks);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisAndChunks, JobTakersContract, AllInChunks);
// Bounds of finished jobs are those of a shard: with one they are exact.
INSTANTIATE_TYPED_TEST_SUITE_P(RedisCluster, JobBoundsContract, Cluster);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisShards, JobQueueContract, Shards);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisShards, JobTakersContract, Shards);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisShards, OutboxContract, Shards);

}  // namespace
}  // namespace lazaret
