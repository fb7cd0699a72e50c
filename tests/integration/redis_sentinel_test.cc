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
  ASSERT_TRUE(Eventually([&] { return servers.MasterPort() == servers.replica().port(); }));
  EXPECT_TRUE(client.Succeeds("key", {"APPEND", "key", "!"}));
  EXPECT_EQ(servers.replica().Ask({"GET", "key"}).text(), "value!");
}

TEST(RedisSentinel, SaysWhenNoSentinelKnows) {
  RedisSentinels servers;
  std::string url = servers.Url();
  url.replace(url.rfind('/') + 1, std::string::npos, "nobody");
  RunningClient unknown(url);
  EXPECT_THAT(unknown.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "knows no such master"));
  RunningClient nowhere(fmt::format("redis+sentinel://127.0.0.1:{}/lazaret", FreePort()));
  EXPECT_THAT(nowhere.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "Connection refused"));
}

TEST(RedisSentinel, LogsInToSentinelsWithTheirOwnPassword) {
  RedisSentinels servers;
  for (int i = 0; i < 3; ++i) {
    servers.sentinel(i).Ask({"SENTINEL", "SET", "lazaret", "auth-pass", ""});
    servers.sentinel(i).Ask({"ACL", "SETUSER", "watcher", "on", ">w4tch", "+@all"});
    ASSERT_EQ(servers.sentinel(i).Ask({"ACL", "SETUSER", "default", "resetpass", "-@all"}).text(), "OK");
  }
  RunningClient client(servers.Url() + "?sentinel_user=watcher&sentinel_password=w4tch");
  EXPECT_TRUE(client.Ask("", {"PING"}));
  RunningClient wrong(servers.Url() + "?sentinel_user=watcher&sentinel_password=wrong-one");
  EXPECT_THAT(wrong.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "WRONGPASS"));
}

}  // namespace
}  // namespace lazaret::tests
