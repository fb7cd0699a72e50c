// The client behind Sentinel.
#include <fmt/format.h>

#include "integration/redis_fixture.h"
#include "integration/redis_process.h"

namespace lazaret::tests {
namespace {

using redis::Reply;

TEST(RedisSentinel, FollowsTheMasterWhenItIsKilled) {
  RedisSentinels servers;
  RunningClient client(servers.Url());
  ASSERT_THAT(client.Ask("key", {"SET", "key", "value"}), Answers(Reply::Status("OK")));
  // Has reached the replica.
  ASSERT_THAT(client.Ask("", {"WAIT", "1", "10000"}), Answers(Reply::Integer(1)));
  const std::uint16_t old_port = servers.master().port();
  // One of the sentinels is gone, too.
  servers.sentinel(0).Kill();
  servers.master().Kill();
  EXPECT_TRUE(client.Succeeds("key", {"APPEND", "key", "!"}));
  EXPECT_NE(servers.MasterPort(), old_port);
  EXPECT_THAT(client.Ask("key", {"GET", "key"}), Answers(Reply::Bulk("value!")));
}

TEST(RedisSentinel, LeavesAMasterThatIsReplacedWhileItRuns) {
  RedisSentinels servers;
  RunningClient client(servers.Url());
  ASSERT_TRUE(client.Ask("key", {"SET", "key", "value"}));
  ASSERT_THAT(client.Ask("", {"WAIT", "1", "10000"}), Answers(Reply::Integer(1)));
  ASSERT_EQ(servers.sentinel(0).Ask({"SENTINEL", "FAILOVER", "lazaret"}).text(), "OK");
  // The old master takes writes until it is told; the sentinels' word makes the client leave it.
  const Reply moved = Reply::Array({Reply::Bulk("port"), Reply::Bulk(std::to_string(servers.replica().port()))});
  EXPECT_TRUE(Eventually([&] { return client.Ask("", {"CONFIG", "GET", "port"}, In(seconds(1))) == moved; }));
  EXPECT_TRUE(client.Ask("key", {"APPEND", "key", "!"}));
  EXPECT_EQ(servers.replica().Ask({"GET", "key"}).text(), "value!");
}

// One that watches `master` alone.
RedisOptions LonelySentinel(const RedisProcess& master) {
  return {.arguments = {fmt::format("sentinel monitor lazaret 127.0.0.1 {} 1", master.port())}, .sentinel = true};
}

TEST(RedisSentinel, SaysWhenNoSentinelKnows) {
  RedisProcess master;
  RedisProcess sentinel(LonelySentinel(master));
  RunningClient client(fmt::format("redis+sentinel://127.0.0.1:{},127.0.0.1:{}/lazaret", FreePort(), sentinel.port()));
  EXPECT_TRUE(client.Ask("", {"PING"}));
  RunningClient unknown(fmt::format("redis+sentinel://127.0.0.1:{}/nobody", sentinel.port()));
  EXPECT_THAT(unknown.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "knows no such master"));
  RunningClient nowhere(fmt::format("redis+sentinel://127.0.0.1:{}/lazaret", FreePort()));
  EXPECT_THAT(nowhere.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "Connection refused"));
}

TEST(RedisSentinel, LeavesAServerThatTheSentinelsNoLongerName) {
  RedisProcess cut_off;  // and so not told, as it would be after a failover
  RedisProcess master;
  RedisProcess sentinel(LonelySentinel(cut_off));
  RunningClient client(fmt::format("redis+sentinel://127.0.0.1:{}/lazaret", sentinel.port()));
  ASSERT_TRUE(client.Ask("key", {"SET", "key", "old"}));
  ASSERT_EQ(sentinel.Ask({"SENTINEL", "REMOVE", "lazaret"}).text(), "OK");
  ASSERT_EQ(sentinel.Ask({"SENTINEL", "MONITOR", "lazaret", "127.0.0.1", std::to_string(master.port()), "1"}).text(),
            "OK");
  EXPECT_TRUE(Eventually([&] { return client.Ask("key", {"GET", "key"}) == Reply(); }));
}

TEST(RedisSentinel, RefusesAReplicaThatASentinelNames) {
  RedisProcess master;
  RedisProcess replica({.arguments = {"--replicaof", "127.0.0.1 " + std::to_string(master.port())}});
  // It was told the wrong address, and has not found out yet.
  auto options = LonelySentinel(replica);
  options.arguments.push_back("sentinel down-after-milliseconds lazaret 3600000");
  RedisProcess sentinel(options);
  RunningClient client(fmt::format("redis+sentinel://127.0.0.1:{}/lazaret", sentinel.port()));
  EXPECT_THAT(client.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "no master but a slave"));
}

TEST(RedisSentinel, LogsInToSentinelsWithTheirOwnPassword) {
  RedisProcess master;
  RedisProcess sentinel(LonelySentinel(master));
  ASSERT_EQ(sentinel.Ask({"ACL", "SETUSER", "watcher", "on", ">w4tch", "+@all"}).text(), "OK");
  ASSERT_EQ(sentinel.Ask({"ACL", "SETUSER", "default", "resetpass", "-@all"}).text(), "OK");
  const std::string url = fmt::format("redis+sentinel://127.0.0.1:{}/lazaret", sentinel.port());
  RunningClient client(url + "?sentinel_user=watcher&sentinel_password=w4tch");
  EXPECT_TRUE(client.Ask("", {"PING"}));
  RunningClient wrong(url + "?sentinel_user=watcher&sentinel_password=wrong-one");
  EXPECT_THAT(wrong.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "WRONGPASS"));
  EXPECT_THAT(wrong.Ask("", {"PING"}).error().what, testing::Not(testing::HasSubstr("wrong-one")));
}

}  // namespace
}  // namespace lazaret::tests
