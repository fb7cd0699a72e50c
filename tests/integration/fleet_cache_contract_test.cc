// What every VerdictCache must do, done by Redis: alone, as a cluster, and behind memory.
#include "core/verdict_cache_contract.h"

#include <limits>

#include "integration/fleet_fixture.h"

namespace lazaret::tests {
namespace {

// Redis's clock cannot be moved; what time does to its keys can be done to them.
void LetTimePass(const RedisProcess& server, milliseconds by) {
  const redis::Reply keys = server.Ask({"KEYS", "*"});
  for (const redis::Reply& key : keys.elements()) {
    const std::int64_t left = server.Ask({"PTTL", key.text()}).integer() - by.count();
    if (left > 0) {
      server.Ask({"PEXPIRE", key.text(), std::to_string(left)});
    } else {
      server.Ask({"DEL", key.text()});
    }
  }
}

class OneServer {
 public:
  std::string Url() const { return server_.Url(); }
  void Advance(milliseconds by) const { LetTimePass(server_, by); }

 private:
  RedisProcess server_;
};

class ThreeMasters {
 public:
  std::string Url() const { return servers_.Url(); }
  void Advance(milliseconds by) {
    for (std::size_t i = 0; i < servers_.size(); ++i) LetTimePass(servers_.node(i), by);
  }

 private:
  RedisCluster servers_;
};

template <class Servers>
class RedisWorld {
 public:
  static constexpr milliseconds kTick = seconds(20);

  RedisWorld(const Clock& clock, CachePolicy policy, std::size_t)
      : cache_(*client_, clock, {.policy = policy, .timeout = kPatience, .store_timeout = kPatience}) {}
  VerdictCache& cache() { return cache_; }
  // Bounded by age and by Redis's maxmemory, not by number.
  std::size_t MostKept() const { return std::numeric_limits<std::size_t>::max(); }
  void Advance(milliseconds by) { servers_.Advance(by); }

 private:
  Servers servers_;
  RunningClient client_{servers_.Url()};
  fleet::RedisVerdictCache cache_;
};

// Memory that holds a part of what Redis holds.
class LayeredWorld {
 public:
  static constexpr milliseconds kTick = RedisWorld<OneServer>::kTick;

  LayeredWorld(const Clock& clock, CachePolicy policy, std::size_t max_entries)
      : redis_(clock, policy, max_entries),
        cache_(clock, policy, max_entries / 10, &redis_.cache(), {}, embedded::Backing::kShared) {}
  VerdictCache& cache() { return cache_; }
  std::size_t MostKept() const { return redis_.MostKept(); }
  void Advance(milliseconds by) { redis_.Advance(by); }

 private:
  RedisWorld<OneServer> redis_;
  embedded::MemoryVerdictCache cache_;
};

}  // namespace
}  // namespace lazaret::tests

namespace lazaret {

INSTANTIATE_TYPED_TEST_SUITE_P(Redis, VerdictCacheContract, tests::RedisWorld<tests::OneServer>);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisCluster, VerdictCacheContract, tests::RedisWorld<tests::ThreeMasters>);
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryBeforeRedis, VerdictCacheContract, tests::LayeredWorld);

}  // namespace lazaret
