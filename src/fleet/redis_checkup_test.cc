#include "fleet/redis_checkup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::fleet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RedisFacts Good() {
  return {.server = {},
          .maxmemory = 1 << 30,
          .eviction = "volatile-lru",
          .append_only = true,
          .append_fsync = "always",
          .save = "",
          .is_replica = false,
          .replicas = 0};
}

TEST(RedisCheckup, IsSilentWhenAllIsWell) {
  EXPECT_THAT(RedisCheckup::Advise(Good(), 0), IsEmpty());
  RedisFacts replicated = Good();
  replicated.replicas = 1;
  replicated.in_cluster = true;
  EXPECT_THAT(RedisCheckup::Advise(replicated, 1), IsEmpty());
  EXPECT_THAT(RedisCheckup::Advise(RedisFacts{}, 0), IsEmpty()) << "nothing is known";
}

TEST(RedisCheckup, WarnsOfMemory) {
  RedisFacts facts = Good();
  facts.eviction = "allkeys-lru";
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("accepted jobs among them")));
  facts.eviction = "noeviction";
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("noeviction")));
  facts.maxmemory = 0;
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("no maxmemory")));
}

TEST(RedisCheckup, SaysWhatACrashLoses) {
  RedisFacts facts = Good();
  facts.append_fsync = "everysec";
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("second or two")));
  facts.append_fsync = "no";
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("half minute")));
  facts.append_only = false;
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("forgets every accepted job")));
  facts.save = "3600 1";
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("since the last snapshot")));
  facts.cannot_save = true;
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("make room"), HasSubstr("snapshot")));
}

TEST(RedisCheckup, SaysWhatReplicasMean) {
  RedisFacts facts = Good();
  EXPECT_THAT(RedisCheckup::Advise(facts, 1), ElementsAre(HasSubstr("all are refused")));
  facts.in_cluster = true;
  facts.server = "10.0.0.1:6379";
  EXPECT_THAT(RedisCheckup::Advise(facts, 0),
              ElementsAre(testing::AllOf(HasSubstr("Redis at 10.0.0.1:6379: "), HasSubstr("no replica"))));
  facts.replicas = 1;
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("redis.wait_replicas to 1")));
  facts.is_replica = true;
  EXPECT_THAT(RedisCheckup::Advise(facts, 0), ElementsAre(HasSubstr("it is a replica")));
}

TEST(RedisCheckup, ReadsInfo) {
  RedisFacts facts;
  RedisCheckup::ReadInfo(
      "# Memory\r\nmaxmemory:1024\r\nmaxmemory_policy:allkeys-lfu\r\n\r\n# Persistence\r\naof_enabled:1\r\n"
      "rdb_last_bgsave_status:ok\r\naof_last_write_status:err\r\n# Replication\r\nrole:slave\r\nconnected_slaves:2",
      facts);
  EXPECT_EQ(facts.maxmemory, 1024u);
  EXPECT_EQ(facts.eviction, "allkeys-lfu");
  EXPECT_EQ(facts.append_only, true);
  EXPECT_TRUE(facts.cannot_save);
  EXPECT_EQ(facts.is_replica, true);
  EXPECT_EQ(facts.replicas, 2u);
  RedisCheckup::ReadInfo("maxmemory:12x\nmaxmemory", facts);
  EXPECT_EQ(facts.maxmemory, std::nullopt);
}

}  // namespace
}  // namespace lazaret::fleet
