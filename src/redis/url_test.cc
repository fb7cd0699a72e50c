#include "redis/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::redis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Url Parsed(std::string_view text) {
  auto url = Url::Parse(text);
  if (!url) ADD_FAILURE() << text << ": " << url.error().what;
  return url.value_or(Url{});
}

std::string Refused(std::string_view text) {
  const auto url = Url::Parse(text);
  if (url) return "accepted";
  EXPECT_EQ(url.error().code, Errc::kMalformed) << text;
  return url.error().what;
}

Endpoint At(std::string host, std::uint16_t port) { return {.host = std::move(host), .port = port, .path = {}}; }

TEST(RedisUrl, ReadsAServer) {
  const Url url = Parsed("redis://redis.example.com");
  EXPECT_EQ(url.mode, Mode::kStandalone);
  EXPECT_FALSE(url.tls);
  EXPECT_THAT(url.endpoints, ElementsAre(At("redis.example.com", 6379)));
  EXPECT_TRUE(url.credentials.empty());
  EXPECT_EQ(url.database, 0u);
  EXPECT_EQ(Parsed("redis://10.0.0.1:7000/12").database, 12u);
  EXPECT_THAT(Parsed("redis://[2001:db8::1]:7000/").endpoints, ElementsAre(At("2001:db8::1", 7000)));
  EXPECT_THAT(Parsed("redis://[::1]").endpoints, ElementsAre(At("::1", 6379)));
  EXPECT_TRUE(Parsed("rediss://h").tls);
}

TEST(RedisUrl, DecodesUserAndPassword) {
  EXPECT_EQ(Parsed("redis://me:p%40ss%3A%2f@h").credentials, (Credentials{"me", "p@ss:/"}));
  EXPECT_EQ(Parsed("redis://:secret@h").credentials, (Credentials{"", "secret"}));
  EXPECT_EQ(Parsed("redis+cluster://me:x@h1,h2").credentials, (Credentials{"me", "x"}));
}

TEST(RedisUrl, ReadsUnixSockets) {
  for (const char* text : {"unix:/run/redis/r.sock", "unix:///run/redis/r.sock", "redis+unix:///run/redis/r.sock"}) {
    EXPECT_THAT(Parsed(text).endpoints, ElementsAre(Endpoint{.host = {}, .port = 0, .path = "/run/redis/r.sock"}));
  }
  const Url url = Parsed("redis+unix://me:p%20w@/run/a%20b.sock?db=7");
  EXPECT_EQ(url.endpoints.front().path, "/run/a b.sock");
  EXPECT_EQ(url.credentials, (Credentials{"me", "p w"}));
  EXPECT_EQ(url.database, 7u);
  const std::string longest = "/" + std::string(106, 'x');
  EXPECT_EQ(Parsed("unix:" + longest).endpoints.front().path, longest);
  EXPECT_THAT(Refused("unix:" + longest + "x"), HasSubstr("107"));
}

TEST(RedisUrl, ReadsSentinels) {
  const Url url =
      Parsed("rediss+sentinel://me:pw@s1,s2:1234,[::1]/main.master/3?sentinel_user=w&sentinel_password=a%26b");
  EXPECT_EQ(url.mode, Mode::kSentinel);
  EXPECT_TRUE(url.tls);
  EXPECT_THAT(url.endpoints, ElementsAre(At("s1", 26379), At("s2", 1234), At("::1", 26379)));
  EXPECT_EQ(url.master, "main.master");
  EXPECT_EQ(url.database, 3u);
  EXPECT_EQ(url.credentials, (Credentials{"me", "pw"}));
  EXPECT_EQ(url.sentinel_credentials, (Credentials{"w", "a&b"}));
}

TEST(RedisUrl, ReadsClusters) {
  const Url url = Parsed("redis+cluster://h1:7000,h2");
  EXPECT_EQ(url.mode, Mode::kCluster);
  EXPECT_THAT(url.endpoints, ElementsAre(At("h1", 7000), At("h2", 6379)));
  EXPECT_TRUE(Parsed("rediss+cluster://h1").tls);
}

TEST(RedisUrl, ReadsOptions) {
  const Url url = Parsed(
      "rediss://h?timeout=250ms&connect_timeout=3s&client_name=lz-1&ca_file=/a%20b.crt&cert_file=/c&key_file=/"
      "k&server_name=n");
  EXPECT_EQ(url.timeout, milliseconds(250));
  EXPECT_EQ(url.connect_timeout, milliseconds(3000));
  EXPECT_EQ(url.client_name, "lz-1");
  EXPECT_EQ(url.tls_options, (TlsOptions{"/a b.crt", "/c", "/k", "n"}));
  EXPECT_EQ(Parsed("redis://h?timeout=3600s").timeout, milliseconds(3'600'000));
  EXPECT_EQ(Parsed("redis://h").timeout, milliseconds(1000));
}

TEST(RedisUrl, SaysWhatIsWrong) {
  for (const char* text : {"", "redis", "http://h", "redis+x://h", "REDIS://h", "rediss+unix:///x"}) {
    EXPECT_THAT(Refused(text), HasSubstr("redis")) << text;
  }
  EXPECT_THAT(Refused("redis:h"), HasSubstr("\"//\""));
  for (const char* text :
       {"redis://", "redis://h h", "redis://h,", "redis+cluster://,h", "redis://:1", "redis://a$b"}) {
    EXPECT_NE(Refused(text), "accepted") << text;
  }
  for (const char* port : {"0", "65536", "", "-1", "+1", "1x", "x"}) {
    EXPECT_THAT(Refused(std::string("redis://h:") + port), HasSubstr("port")) << port;
  }
  EXPECT_EQ(Parsed("redis://h:65535").endpoints.front().port, 65535);
  for (const char* database : {"x", "-1", "65536", "1/2", "01x"}) {
    EXPECT_THAT(Refused(std::string("redis://h/") + database), HasSubstr("database")) << database;
  }
  EXPECT_EQ(Parsed("redis://h/65535").database, 65535u);
  EXPECT_THAT(Refused("redis://h1,h2"), HasSubstr("redis+cluster://"));
  EXPECT_THAT(Refused("redis+cluster://h,h"), HasSubstr("twice"));
  EXPECT_THAT(Refused("redis+cluster://h/0"), HasSubstr("no database"));
  EXPECT_THAT(Refused("redis+sentinel://h"), HasSubstr("master"));
  EXPECT_THAT(Refused("redis+sentinel://h/a b"), HasSubstr("space"));
  EXPECT_THAT(Refused("redis+sentinel://h/a%20b"), HasSubstr("master"));
  EXPECT_THAT(Refused("redis://h#1"), HasSubstr("%23"));
  EXPECT_THAT(Refused("redis://[::1"), HasSubstr("]"));
  EXPECT_THAT(Refused("redis://[h]"), HasSubstr("IPv6"));
  EXPECT_THAT(Refused("redis://[::1]x"), HasSubstr("port"));
  EXPECT_THAT(Refused("unix:relative"), HasSubstr("absolute"));
  EXPECT_THAT(Refused("unix://host/path"), HasSubstr("no host"));
  EXPECT_THAT(Refused("unix:/a%00b"), HasSubstr("path"));
  EXPECT_THAT(Refused("redis+unix:/a"), HasSubstr("\"//\""));
  EXPECT_THAT(Refused("redis://me@h"), HasSubstr("no password"));
  EXPECT_THAT(Refused("redis://a:b@c@h"), HasSubstr("%40"));
  EXPECT_THAT(Refused("redis://a:b:c@h"), HasSubstr("%3A"));
  EXPECT_THAT(Refused("redis://a:%zz@h"), HasSubstr("hexadecimal"));
}

TEST(RedisUrl, SaysWhatIsWrongWithOptions) {
  EXPECT_THAT(Refused("redis://h?unknown=1"), HasSubstr("unknown option"));
  EXPECT_THAT(Refused("redis://h?timeout=1s&timeout=1s"), HasSubstr("twice"));
  EXPECT_THAT(Refused("redis://h?timeout="), HasSubstr("without a value"));
  for (const char* time : {"1", "0s", "1m", "s", "ms", "-1s", "3601s", "4294967296s", "1.5s"}) {
    EXPECT_THAT(Refused(std::string("redis://h?timeout=") + time), HasSubstr("a time")) << time;
  }
  EXPECT_THAT(Refused("redis://h?ca_file=/a"), HasSubstr("another scheme"));
  EXPECT_THAT(Refused("rediss://h?cert_file=/a"), HasSubstr("together"));
  EXPECT_THAT(Refused("rediss://h?key_file=/a"), HasSubstr("together"));
  EXPECT_THAT(Refused("redis://h?sentinel_password=x"), HasSubstr("another scheme"));
  EXPECT_THAT(Refused("redis+sentinel://h/m?sentinel_user=x"), HasSubstr("sentinel_password"));
  EXPECT_THAT(Refused("redis://h?db=1"), HasSubstr("unknown option"));
  EXPECT_THAT(Refused("unix:/s?db=x"), HasSubstr("database"));
  EXPECT_THAT(Refused("redis://h?client_name=a%20b"), HasSubstr("client_name"));
  EXPECT_THAT(Refused("redis://h?client_name=%zz"), HasSubstr("percent-encoded"));
}

TEST(RedisUrl, LimitsItsLengthAndHosts) {
  const std::string url = "rediss://h?ca_file=/";
  EXPECT_EQ(Parsed(url + std::string(kMaxUrlBytes - url.size(), 'x')).endpoints.size(), 1u);
  EXPECT_THAT(Refused(url + std::string(kMaxUrlBytes - url.size() + 1, 'x')), HasSubstr("4096"));
  std::string cluster = "redis+cluster://h0";
  for (std::size_t i = 1; i < kMaxHosts; ++i) cluster += ",h" + std::to_string(i);
  EXPECT_EQ(Parsed(cluster).endpoints.size(), kMaxHosts);
  EXPECT_THAT(Refused(cluster + ",h"), HasSubstr("64"));
}

TEST(RedisUrl, NeverRepeatsAPassword) {
  for (const char* text :
       {"redis://u:hunter2@h h", "redis://u:hunter2@h:x", "redis:/u:hunter2@h", "redis://u:hunter2/@h",
        "redis://u:hunter2?@h", "redis://u:hunter2#@h", "redis://u:a:hunter2@h", "redis://u:hunter2%@h",
        "redis://hunter2@h", "redis://u:hunter2@@h", "redis://h/hunter2", "redis://h?hunter2", "redis://h?hunter2=1",
        "redis://h?timeout=hunter2", "hunter2", "redis+sentinel://h/m?sentinel_password=hunter2&timeout=1",
        "redis://h:hunter2"}) {
    EXPECT_THAT(Refused(text), Not(HasSubstr("hunter2"))) << text;
  }
}

TEST(RedisUrl, DescribesItselfWithoutSecrets) {
  EXPECT_EQ(Parsed("rediss://u:hunter2@h/4?timeout=1s").Describe(), "rediss://h:6379/4");
  EXPECT_EQ(Parsed("redis+sentinel://u:hunter2@[::1],s2/m").Describe(), "redis+sentinel://[::1]:26379,s2:26379/m");
  EXPECT_EQ(Parsed("rediss+cluster://u:hunter2@a,b").Describe(), "rediss+cluster://a:6379,b:6379");
  EXPECT_EQ(Parsed("redis+unix://u:hunter2@/run/r?db=2").Describe(), "unix:/run/r/2");
}

}  // namespace
}  // namespace lazaret::redis
