// What real servers say about themselves.
#include "fleet/redis_checkup.h"

#include "integration/redis_fixture.h"
#include "integration/redis_process.h"

namespace lazaret::tests {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> Check(const std::string& url, std::uint32_t wait_replicas = 0) {
  RunningClient client(url);
  Result<std::vector<std::string>> advice;
  EXPECT_TRUE(Eventually([&] {
    advice = client.Run(fleet::RedisCheckup::Run(*client, wait_replicas, Soon()));
    return advice.has_value();
  }));
  return *advice;
}

TEST(RedisCheckup, OfOneServer) {
  const RedisProcess server;
  EXPECT_THAT(Check(server.Url()), ElementsAre(HasSubstr("no maxmemory"), HasSubstr("forgets every accepted job")));
  server.Ask({"CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "volatile-lru"});
  server.Ask({"CONFIG", "SET", "appendonly", "yes", "appendfsync", "always"});
  EXPECT_THAT(Check(server.Url()), IsEmpty());
  server.Ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-random"});
  EXPECT_THAT(Check(server.Url()), ElementsAre(HasSubstr("accepted jobs among them")));
}

TEST(RedisCheckup, WithoutTheRightToSeeSettings) {
  const RedisProcess server;
  server.Ask({"CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"});
  server.Ask({"ACL", "SETUSER", "default", "-config"});
  // Whether it makes snapshots is not to be had.
  EXPECT_THAT(Check(server.Url()),
              ElementsAre(HasSubstr("accepted jobs among them"), HasSubstr("since the last snapshot")));
}

TEST(RedisCheckup, OfAClusterWithAndWithoutReplicas) {
  const RedisCluster cluster(
      3, false,
      {"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru", "--appendonly", "yes", "--appendfsync", "always"});
  const auto advice = Check(cluster.Url());
  EXPECT_THAT(advice, SizeIs(3));
  EXPECT_THAT(advice, Each(HasSubstr("has no replica")));
  EXPECT_THAT(Check(cluster.Url(), 1), Each(HasSubstr("all are refused")));
}

}  // namespace
}  // namespace lazaret::tests
