#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "config/describe.h"
#include "config/field.h"
#include "config/value.h"

namespace lazaret::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Surroundings kRoot{{}, true};

Given Flag(const std::string& key, const std::string& value) { return Given{key, {value}, "--" + key, "--" + key}; }

class ConfigFile {
 public:
  explicit ConfigFile(std::string_view text)
      : path_(std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    path_ += "-" + std::to_string(::getpid()) + ".toml";
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The problems of a file that holds `text`, without the path in front.
Problems ProblemsOf(std::string_view text, const Surroundings& surroundings = kRoot) {
  const ConfigFile file(text);
  auto loaded = Load(surroundings, file.path(), {});
  if (loaded) return {};
  for (std::string& problem : loaded.error()) {
    if (problem.starts_with(file.path().string())) problem = problem.substr(file.path().string().size() + 1);
  }
  return loaded.error();
}

Problems ProblemsOfFlag(const std::string& key, const std::string& value) {
  auto loaded = Load(kRoot, std::nullopt, {Flag(key, value)});
  return loaded ? Problems{} : loaded.error();
}

TEST(Load, GivesTheDefaultsWhenNothingIsSaid) {
  const auto loaded = Load(kRoot, std::nullopt, {});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config, Config{});
  EXPECT_THAT(loaded->origins, IsEmpty());
}

TEST(Load, LetsFileThenEnvironmentThenFlagsWin) {
  const ConfigFile file("threads = 2\n[engine]\nscanners = 2\nattempts = 2\n[queue]\nmax_waiting = 2\n");
  const Surroundings surroundings{
      {{"LAZARET_ENGINE_SCANNERS", "3"}, {"LAZARET_ENGINE_ATTEMPTS", "3"}, {"LAZARET_HTTP_MAX_PARTS", "3"}}, true};
  const auto loaded = Load(surroundings, file.path(),
                           {Flag("engine.attempts", "4"), Flag("http.max_lookup", "4"), Flag("http.max_lookup", "5")});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.threads, 2u) << "file over default";
  EXPECT_EQ(loaded->config.queue.max_waiting, 2u);
  EXPECT_EQ(loaded->config.engine.scanners, 3u) << "environment over file";
  EXPECT_EQ(loaded->config.http.max_parts, 3u) << "environment over default";
  EXPECT_EQ(loaded->config.engine.attempts, 4u) << "flag over both";
  EXPECT_EQ(loaded->config.http.max_lookup, 5u) << "the later flag";
  EXPECT_EQ(loaded->origins.at("threads"), file.path().string() + ":1:11");
  EXPECT_EQ(loaded->origins.at("engine.scanners"), "LAZARET_ENGINE_SCANNERS");
  EXPECT_EQ(loaded->origins.at("engine.attempts"), "--engine.attempts");
}

TEST(Load, ReadsEveryKindOfValueFromAFile) {
  const ConfigFile file(R"(
listen = ["127.0.0.1:1", "[::1]:65535", "0.0.0.0:0", "[::]:0", "unix:/run/lazaret.sock"]
data = "/srv/lazaret"
drain_timeout = "5m"
log = { format = "json", level = "debug" }
http.min_body_rate = "2KiB/s"
http.socket_mode = "0666"
[signatures]
test_set = true
[engine]
user = "scan"
scanner_program = "/opt/lazaret-scanner"
memory = 1073741824
max_scan_size = "500MB"
[clamd]
listen = ["unix:/run/clamd.sock", "tcp:127.0.0.1:3310"]
socket_mode = "0600"
allow_paths = ["/srv", "/home"]
unscannable = "found"
reload = "refuse"
[webhook]
hosts = ["a.example", "*.b.example:8443"]
private_networks = "10.0.0.0/8,::1"
)");
  const auto loaded = Load(kRoot, file.path(), {});
  ASSERT_TRUE(loaded) << ProblemsText(loaded.error());
  Config expected;
  expected.listen = {{"127.0.0.1", 1}, {"::1", 65535}, {"0.0.0.0", 0}, {"::", 0}, {"", 0, "/run/lazaret.sock"}};
  expected.data = "/srv/lazaret";
  expected.drain_timeout = std::chrono::minutes(5);
  expected.log = {LogFormat::kJson, LogLevel::kDebug};
  expected.http.min_body_rate = 2048;
  expected.http.socket_mode = 0666;
  expected.signatures.test_set = true;
  expected.engine.user = "scan";
  expected.engine.scanner_program = "/opt/lazaret-scanner";
  expected.engine.memory = kGiB;
  expected.engine.max_scan_size = 500'000'000;
  expected.clamd.listen = {{.path = "/run/clamd.sock"}, {.host = "127.0.0.1", .port = 3310}};
  expected.clamd.socket_mode = 0600;
  expected.clamd.allow_paths = {"/srv", "/home"};
  expected.clamd.unscannable = ClamdUnscannable::kFound;
  expected.clamd.reload = ClamdReload::kRefuse;
  expected.webhook.hosts = {"a.example", "*.b.example:8443"};
  expected.webhook.private_networks = {"10.0.0.0/8", "::1"};
  EXPECT_EQ(loaded->config, expected);
}

TEST(Load, TakesListsOfTexts) {
  const auto hosts = [](const std::string& text) {
    const auto loaded = Load(kRoot, std::nullopt, {Flag("webhook.hosts", text)});
    return loaded ? loaded->config.webhook.hosts : std::vector<std::string>{loaded.error().front()};
  };
  EXPECT_THAT(hosts("a,b"), ElementsAre("a", "b"));
  EXPECT_THAT(hosts(""), IsEmpty());
  EXPECT_THAT(hosts("a,,b"), ElementsAre(HasSubstr("\"\" is empty or has spaces")));
  EXPECT_THAT(hosts("a, b"), ElementsAre(HasSubstr("\" b\" is empty or has spaces (allowed: up to 1000")));
  std::string many = "x";
  for (int i = 1; i < 1000; ++i) many += ",x";
  EXPECT_EQ(hosts(many).size(), 1000u);
  EXPECT_THAT(hosts(many + ",x"), ElementsAre(HasSubstr("1001 items")));
}

TEST(Load, TakesOneAddressWithoutAList) {
  const ConfigFile file("listen = '[::1]:80'");
  const auto loaded = Load(kRoot, file.path(), {});
  ASSERT_TRUE(loaded);
  EXPECT_THAT(loaded->config.listen, ElementsAre(ListenAddress{"::1", 80}));
}

TEST(Load, PutsDataWhereTheUserMayWrite) {
  const auto data = [](Environment environment) { return DefaultConfig(Surroundings{environment, false}).data; };
  EXPECT_EQ(DefaultConfig(kRoot).data, "/var/lib/lazaret");
  EXPECT_EQ(data({{"HOME", "/home/u"}, {"XDG_STATE_HOME", "/state"}}), "/state/lazaret");
  EXPECT_EQ(data({{"HOME", "/home/u"}}), "/home/u/.local/state/lazaret");
  EXPECT_EQ(data({{"HOME", "/home/u"}, {"XDG_STATE_HOME", "relative"}}), "/home/u/.local/state/lazaret");
  const Surroundings nowhere;
  EXPECT_THAT(Load(nowhere, std::nullopt, {}).error(),
              ElementsAre("data: there is no home directory to put it in: set it, for example --data "
                          "/var/tmp/lazaret"));
  EXPECT_TRUE(Load(nowhere, std::nullopt, {Flag("data", "/tmp/x")}));
}

TEST(Load, NamesTheNearestKey) {
  EXPECT_THAT(ProblemsOf("[http]\nmax_conections = 1"),
              ElementsAre("2:1: http.max_conections: no such setting; the nearest is http.max_connections"));
  EXPECT_THAT(ProblemsOf("max_connections = 1"),
              ElementsAre("1:1: max_connections: no such setting; the nearest is http.max_connections"));
  EXPECT_THAT(ProblemsOf("lsiten = ['127.0.0.1:1']"),
              ElementsAre("1:1: lsiten: no such setting; the nearest is listen"));
  EXPECT_THAT(ProblemsOf("[htpp]\nmax_parts = 1"), ElementsAre("1:2: htpp: no such section; the nearest is http"));
  EXPECT_THAT(ProblemsOf("[htpp]"), ElementsAre("1:2: htpp: no such section; the nearest is http"));
  EXPECT_THAT(ProblemsOf("'http.max_parts' = 1"),
              ElementsAre("1:1: \"http.max_parts\": no such setting; the nearest is http.max_parts"));
  EXPECT_THAT(Load({{{"LAZARET_HTTP_MAX_CONNECTION", "1"}}, true}, std::nullopt, {}).error(),
              ElementsAre("LAZARET_HTTP_MAX_CONNECTION: no such setting; the nearest is LAZARET_HTTP_MAX_CONNECTIONS"));
  EXPECT_THAT(ProblemsOfFlag("thread", "1"), ElementsAre("--thread: no such setting; the nearest is threads"));
}

TEST(Load, LeavesOtherVariablesAlone) {
  EXPECT_TRUE(Load({{{"LAZARE", "x"}, {"MY_LAZARET_X", "y"}, {"lazaret_x", "z"}, {"LAZARET_CONFIG", "f"}}, true},
                   std::nullopt, {}));
}

TEST(Load, RefusesWrongTypesInAFile) {
  EXPECT_THAT(ProblemsOf("threads = '4'"),
              ElementsAre("1:11: threads: is a string but must be a whole number (allowed: 0 to 1024)"));
  EXPECT_THAT(
      ProblemsOf("threads = 1.5"),
      ElementsAre("1:11: threads: is a number with a fraction but must be a whole number (allowed: 0 to 1024)"));
  EXPECT_THAT(ProblemsOf("drain_timeout = 30"),
              ElementsAre("1:17: drain_timeout: is a number but must be a string with a time and its unit, such as "
                          "\"30s\" (allowed: 0s to 1h)"));
  EXPECT_THAT(ProblemsOf("[queue]\nsmall_size = true"),
              ElementsAre("2:14: queue.small_size: is a boolean but must be a size: a string such as \"64KiB\", or a "
                          "whole number of bytes (allowed: 0B to 4GiB)"));
  EXPECT_THAT(ProblemsOf("[signatures]\ntest_set = 'true'"),
              ElementsAre("2:12: signatures.test_set: is a string but must be true or false without quotes (allowed: "
                          "true or false)"));
  EXPECT_THAT(ProblemsOf("data = ['/x']"), ElementsAre("1:8: data: is a list but must be a string (allowed: a path)"));
  EXPECT_THAT(ProblemsOf("data = 2026-01-01"),
              ElementsAre("1:8: data: is a date or time but must be a string (allowed: a path)"));
  EXPECT_THAT(ProblemsOf("listen = [8484]"),
              ElementsAre(HasSubstr("1:10: listen: is a list but must be a list of strings")));
  EXPECT_THAT(ProblemsOf("[threads]\nx = 1"),
              ElementsAre(HasSubstr("threads: is a section but must be a whole number")));
  EXPECT_THAT(ProblemsOf("http = 5"), ElementsAre("1:1: http: is a section, not a value: write [http]"));
  EXPECT_THAT(ProblemsOf("[[http]]"), ElementsAre(HasSubstr("http: is a section, not a value: write [http]")));
}

TEST(Load, RefusesBadValues) {
  EXPECT_THAT(ProblemsOf("[http]\n\nmax_connections = 0"),
              ElementsAre("3:19: http.max_connections: 0 is out of range (allowed: 1 to 1000000)"));
  EXPECT_THAT(ProblemsOf("threads = -1"), ElementsAre("1:11: threads: -1 is out of range (allowed: 0 to 1024)"));
  EXPECT_THAT(
      ProblemsOf("[content]\nmax_size = '64K'"),
      ElementsAre("2:12: content.max_size: \"64K\" is not a size such as 64KiB, 2GiB, 500MB or 4096 (allowed: 1B "
                  "to 1TiB)"));
  EXPECT_THAT(ProblemsOf("[http]\nmin_body_rate = 'slow'"),
              ElementsAre("2:17: http.min_body_rate: \"slow\" is not a rate such as 1KiB/s (allowed: 0B/s to 1GiB/s)"));
  EXPECT_THAT(ProblemsOf("drain_timeout = '30'"),
              ElementsAre("1:17: drain_timeout: \"30\" is not a time with its unit such as 500ms, 30s, 5m, 2h or 7d "
                          "(allowed: 0s to 1h)"));
  EXPECT_THAT(
      ProblemsOf("log.level = 'loud'"),
      ElementsAre("1:13: log.level: \"loud\" is not one of the possible values (allowed: debug, info, warning or "
                  "error)"));
  EXPECT_THAT(ProblemsOf("data = ''"), ElementsAre("1:8: data: is empty (allowed: a path)"));
  EXPECT_THAT(ProblemsOf("data = \"/a\\u0000b\""), ElementsAre("1:8: data: holds a zero byte (allowed: a path)"));
  EXPECT_THAT(ProblemsOfFlag("threads", "many"), ElementsAre("--threads: \"many\" is not a whole number (allowed: 0 to "
                                                             "1024)"));
  EXPECT_THAT(ProblemsOfFlag("engine.memory", "99999999999999999999TiB"),
              ElementsAre("--engine.memory: 99999999999999999999TiB is out of range (allowed: 64MiB to 1TiB)"));
  EXPECT_THAT(
      Load({{{"LAZARET_SIGNATURES_PUA", "maybe"}}, true}, std::nullopt, {}).error(),
      ElementsAre("LAZARET_SIGNATURES_PUA: \"maybe\" is not one of the possible values (allowed: true or false)"));
}

TEST(Load, RefusesBadAddresses) {
  const auto problem = [](const std::string& address) {
    const Problems problems = ProblemsOfFlag("listen", address);
    return problems.size() == 1 ? problems.front() : "none or several";
  };
  EXPECT_EQ(problem("127.0.0.1"),
            "--listen: \"127.0.0.1\" has no port (allowed: 1 to 64 of ADDRESS:PORT or unix:/PATH, such as "
            "127.0.0.1:8484 or [::1]:8484)");
  EXPECT_THAT(problem("127.0.0.1:"), HasSubstr("has no port from 0 to 65535"));
  EXPECT_THAT(problem("127.0.0.1:x"), HasSubstr("has no port from 0 to 65535"));
  EXPECT_THAT(problem("127.0.0.1:65536"), HasSubstr("has no port from 0 to 65535"));
  EXPECT_THAT(problem("localhost:80"), HasSubstr("has no numeric IP address before the port"));
  EXPECT_THAT(problem(":80"), HasSubstr("has no numeric IP address before the port"));
  EXPECT_THAT(problem("[127.0.0.1]:80"), HasSubstr("has no numeric IP address before the port"));
  EXPECT_THAT(problem("[::1:80"), HasSubstr("has no numeric IP address before the port"));
  EXPECT_THAT(problem("::1:80"), HasSubstr("is IPv6 without brackets"));
  EXPECT_THAT(problem("127.0.0.1:80,"), HasSubstr("\"\" has no port"));
  EXPECT_THAT(problem("127.0.0.1:80,[::1]:80,127.0.0.1:80"), HasSubstr("127.0.0.1:80 is given twice"));
  EXPECT_EQ(problem("127.0.0.1:0,127.0.0.1:0"), "none or several") << "two ports that the kernel picks differ";
  EXPECT_THAT(ProblemsOf("listen = []"), ElementsAre(HasSubstr("0 addresses (allowed: 1 to 64")));
}

TEST(Load, RefusesBadClamdSettings) {
  const auto problem = [](const std::string& key, const std::string& value) {
    const Problems problems = ProblemsOfFlag("clamd." + key, value);
    return problems.size() == 1 ? problems.front() : "none or several";
  };
  EXPECT_EQ(problem("listen", "/run/clamd.sock"),
            "--clamd.listen: \"/run/clamd.sock\" begins with neither unix: nor tcp: (allowed: 0 to 64 of "
            "unix:PATH or tcp:ADDRESS:PORT, such as unix:/run/lazaret/clamd.sock or tcp:127.0.0.1:3310)");
  EXPECT_THAT(problem("listen", "unix:run/clamd.sock"), HasSubstr("has no absolute path"));
  EXPECT_EQ(problem("listen", "unix:/" + std::string(106, 'x')), "none or several");
  EXPECT_THAT(problem("listen", "unix:/" + std::string(107, 'x')), HasSubstr("has a path of 108 bytes"));
  EXPECT_THAT(problem("listen", "tcp:localhost:1"), HasSubstr("has no numeric IP address"));
  EXPECT_THAT(problem("listen", "unix:/a,unix:/a"), HasSubstr("unix:/a is given twice"));
  EXPECT_THAT(problem("listen", "tcp:127.0.0.1:1,tcp:127.0.0.1:1"), HasSubstr("tcp:127.0.0.1:1 is given twice"));
  EXPECT_EQ(problem("listen", "tcp:127.0.0.1:0,tcp:127.0.0.1:0"), "none or several")
      << "two ports of the kernel's choice";
  EXPECT_EQ(problem("listen", ""), "none or several") << "that is none at all";
  EXPECT_THAT(problem("allow_paths", "srv"), HasSubstr("\"srv\" is not an absolute path"));
  EXPECT_THAT(problem("allow_paths", "/a,/b,/a"), HasSubstr("/a is given twice"));
  EXPECT_EQ(problem("allow_paths", ""), "none or several") << "that is none at all";
  EXPECT_THAT(ProblemsOf("clamd.allow_paths = [\"/a\\u0000b\"]"), ElementsAre(HasSubstr("holds a zero byte")));
  EXPECT_THAT(problem("socket_mode", "1000"), HasSubstr("1000 is out of range (allowed: octal, 0000 to 0777)"));
  EXPECT_THAT(problem("unscannable", "clean"), HasSubstr("(allowed: error or found)"));
  EXPECT_THAT(problem("reload", "yes"), HasSubstr("(allowed: accept or refuse)"));
}

TEST(Load, ReadsServers) {
  const ConfigFile file(
      "[engine]\nkind = 'clamd'\nclamd = ['unix:/run/c.sock', 'tcp:clamd.example:1,tcp:[::1]:65535']");
  const auto loaded = Load(kRoot, file.path(), {});
  ASSERT_TRUE(loaded) << ProblemsText(loaded.error());
  EXPECT_EQ(loaded->config.engine.kind, EngineKind::kClamd);
  EXPECT_THAT(loaded->config.engine.clamd,
              ElementsAre(ServerAddress{.path = "/run/c.sock"}, ServerAddress{.host = "clamd.example", .port = 1},
                          ServerAddress{.host = "::1", .port = 65535}));
  EXPECT_EQ(ShowTomlValue(*FindField("engine.clamd"), loaded->config),
            R"(["unix:/run/c.sock", "tcp:clamd.example:1", "tcp:[::1]:65535"])");
  EXPECT_THAT(ProblemsOfFlag("engine.clamd", ""), testing::IsEmpty()) << "the empty list";
}

TEST(Load, RefusesBadServers) {
  const auto problem = [](const std::string& server) {
    const Problems problems = ProblemsOfFlag("engine.clamd", server);
    return problems.size() == 1 ? problems.front() : "none or several";
  };
  EXPECT_EQ(problem("/run/c.sock"),
            "--engine.clamd: \"/run/c.sock\" begins with neither unix: nor tcp: (allowed: 0 to 64 of unix:PATH or "
            "tcp:HOST:PORT, such as unix:/run/clamav/clamd.ctl or tcp:10.0.0.7:3310)");
  EXPECT_THAT(problem("unix:c.sock"), HasSubstr("has no absolute path"));
  EXPECT_THAT(problem("unix:"), HasSubstr("has no absolute path"));
  EXPECT_EQ(problem("unix:/" + std::string(106, 'x')), "none or several");
  EXPECT_THAT(problem("unix:/" + std::string(107, 'x')), HasSubstr("has a path of 108 bytes"));
  EXPECT_THAT(problem("tcp:host"), HasSubstr("has no port"));
  EXPECT_THAT(problem("tcp::1"), HasSubstr("has no host before the port"));
  EXPECT_THAT(problem("tcp:a b:1"), HasSubstr("has no host before the port"));
  EXPECT_THAT(problem("tcp:::1:1"), HasSubstr("is not IPv6 in brackets"));
  EXPECT_THAT(problem("tcp:[host]:1"), HasSubstr("is not IPv6 in brackets"));
  EXPECT_THAT(problem("tcp:host:0"), HasSubstr("has no port from 1 to 65535"));
  EXPECT_THAT(problem("tcp:host:65536"), HasSubstr("has no port from 1 to 65535"));
  EXPECT_THAT(problem("unix:/a,unix:/a"), HasSubstr("unix:/a is given twice"));
  EXPECT_THAT(problem("unix:/a,"), HasSubstr("begins with neither"));
}

TEST(Load, ClamdNeedsServers) {
  EXPECT_THAT(ProblemsOfFlag("engine.kind", "clamd"), ElementsAre(HasSubstr("engine.clamd names no server")));
}

TEST(Load, RolesNeedRedis) {
  EXPECT_THAT(ProblemsOfFlag("role", "api"), ElementsAre(HasSubstr("role is api, but redis.url is empty")));
  EXPECT_THAT(ProblemsOfFlag("role", "worker"), ElementsAre(HasSubstr("add --redis URL")));
  EXPECT_THAT(ProblemsOfFlag("engine.kind", "workers"), ElementsAre(HasSubstr("reached through Redis")));
  EXPECT_TRUE(Load(kRoot, std::nullopt, {Flag("role", "all"), Flag("redis.url", "redis://h")}));
}

TEST(Load, AWorkerHasAnEngineAndNoClients) {
  const auto problems = [](Given more) {
    const auto loaded =
        Load(kRoot, std::nullopt, {Flag("role", "worker"), Flag("redis.url", "redis://h"), std::move(more)});
    return loaded ? Problems() : loaded.error();
  };
  EXPECT_THAT(problems(Flag("engine.kind", "workers")), ElementsAre(HasSubstr("needs an engine of its own")));
  EXPECT_THAT(problems(Flag("clamd.listen", "tcp:127.0.0.1:3310")), ElementsAre(HasSubstr("answers no clients")));
  EXPECT_THAT(problems(Flag("engine.kind", "embedded")), testing::IsEmpty());
}

TEST(Load, TheEngineFollowsTheRole) {
  const auto engine = [](std::string role, std::string kind) {
    return Load(kRoot, std::nullopt, {Flag("role", role), Flag("redis.url", "redis://h"), Flag("engine.kind", kind)})
        ->config.EngineInUse();
  };
  EXPECT_EQ(engine("all", "auto"), EngineKind::kEmbedded);
  EXPECT_EQ(engine("worker", "auto"), EngineKind::kEmbedded);
  EXPECT_EQ(engine("api", "auto"), EngineKind::kWorkers);
  EXPECT_EQ(engine("api", "embedded"), EngineKind::kEmbedded);
  EXPECT_EQ(engine("all", "workers"), EngineKind::kWorkers);
}

TEST(Load, PasswordsOfRedisAreNotShown) {
  const auto loaded = Load(kRoot, std::nullopt, {Flag("redis.url", "redis://user:secret@h:1/2")});
  ASSERT_TRUE(loaded) << loaded.error().front();
  EXPECT_EQ(loaded->config.redis.url, "redis://user:secret@h:1/2");
  EXPECT_EQ(ShowValue(*FindField("redis.url"), loaded->config), "redis://h:1/2");
  EXPECT_THAT(ProblemsOfFlag("redis.url", "redsi://user:secret@h"),
              ElementsAre(testing::AllOf(HasSubstr("must begin with redis://"), Not(HasSubstr("secret")))));
}

TEST(Load, TakesPathsOfUnixSocketsThatFit) {
  const std::string longest = "/" + std::string(106, 'x');
  const auto loaded = Load(kRoot, std::nullopt, {Flag("listen", "unix:" + longest + ",unix:/run/a:b.sock")});
  ASSERT_TRUE(loaded) << loaded.error().front();
  EXPECT_EQ(loaded->config.listen.front().path, longest);
  EXPECT_EQ(loaded->config.listen.back().Text(), "unix:/run/a:b.sock");
  EXPECT_THAT(ProblemsOfFlag("listen", "unix:" + longest + "x"),
              ElementsAre(HasSubstr("has a path of 108 bytes; a Unix socket has at most 107 (allowed: ")));
  EXPECT_THAT(ProblemsOfFlag("listen", "unix:run/a"), ElementsAre(HasSubstr("\"unix:run/a\" has no absolute path")));
  EXPECT_THAT(ProblemsOfFlag("listen", "unix:"), ElementsAre(HasSubstr("\"unix:\" has no absolute path")));
  EXPECT_THAT(ProblemsOf("listen = \"unix:/a\\u0000b\""), ElementsAre(HasSubstr("holds a zero byte")));
  EXPECT_THAT(ProblemsOfFlag("listen", "unix:/a,unix:/b,unix:/a"), ElementsAre(HasSubstr("unix:/a is given twice")));
}

TEST(Load, TakesPermissionBitsInOctal) {
  EXPECT_TRUE(ProblemsOfFlag("http.socket_mode", "0").empty());
  EXPECT_TRUE(ProblemsOfFlag("http.socket_mode", "777").empty());
  EXPECT_THAT(ProblemsOfFlag("http.socket_mode", "1000"),
              ElementsAre("--http.socket_mode: 1000 is out of range (allowed: octal, 0000 to 0777)"));
  EXPECT_THAT(ProblemsOfFlag("http.socket_mode", "0680"),
              ElementsAre("--http.socket_mode: \"0680\" is no octal number such as 0660 (allowed: octal, 0000 to "
                          "0777)"));
  EXPECT_THAT(ProblemsOf("http.socket_mode = 660"),
              ElementsAre("1:20: http.socket_mode: is a number but must be a string with an octal number, such as "
                          "\"0660\" (allowed: octal, 0000 to 0777)"));
}

TEST(Load, ShowsAllProblemsTogether) {
  const ConfigFile file("threads = 'x'\nfoo = 1\ndrain_timeout = '2d'");
  const auto loaded =
      Load({{{"LAZARET_LOG_LEVEL", "loud"}, {"LAZARET_X", ""}}, true}, file.path(), {Flag("engine.attempts", "11")});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().size(), 6u) << ProblemsText(loaded.error());
}

TEST(Load, RefusesBudgetsThatAreSmallerThanWhatTheyHold) {
  EXPECT_THAT(ProblemsOfFlag("content.disk_budget", "4294967295B"),
              ElementsAre("content.max_size (4GiB) is more than content.disk_budget (4294967295B): the largest uploads "
                          "would never be accepted"));
  EXPECT_THAT(ProblemsOfFlag("content.disk_budget", "4GiB"), IsEmpty());
  EXPECT_THAT(ProblemsOfFlag("content.memory_budget", "1048575"),
              ElementsAre("content.memory_file_size (1MiB) is more than content.memory_budget (1048575B): the largest "
                          "contents for memory would never have room there"));
  EXPECT_THAT(ProblemsOfFlag("content.memory_budget", "1MiB"), IsEmpty());
}

TEST(Load, RefusesATurnThatIsWaitedForInVain) {
  const auto problems = [](const char* timeout) {
    const auto loaded =
        Load(kRoot, std::nullopt, {Flag("redis.url", "redis://h"), Flag("signatures.load_timeout", timeout)});
    return loaded ? Problems() : loaded.error();
  };
  EXPECT_THAT(problems("14999ms"),
              ElementsAre("redis.turn (15s) is more than signatures.load_timeout (14999ms): without Redis the turn to "
                          "load signatures would be waited for in vain"));
  EXPECT_THAT(problems("15s"), IsEmpty());
}

TEST(Load, SaysWhereAFileIsNotToml) {
  EXPECT_THAT(ProblemsOf("threads = 4\n[http\nmax_parts = 1"), ElementsAre(testing::StartsWith("2:6: ")));
  EXPECT_THAT(ProblemsOf("threads = 4\nthreads = 5"), ElementsAre(testing::StartsWith("2:")));
}

TEST(Load, SaysWhyAFileCannotBeRead) {
  EXPECT_THAT(Load(kRoot, "/nonexistent/lazaret.toml", {}).error(),
              ElementsAre("/nonexistent/lazaret.toml: cannot be read: No such file or directory"));
  EXPECT_THAT(Load(kRoot, "/proc", {}).error(), ElementsAre("/proc: cannot be read: Is a directory"));
}

bool HasRange(const Field& field) {
  return field.kind == Kind::kCount || field.kind == Kind::kSize || field.kind == Kind::kRate ||
         field.kind == Kind::kDuration;
}

TEST(Fields, TakeTheEndsOfTheirRangesAndNothingBeyond) {
  for (const Field& field : Fields()) {
    if (!HasRange(field)) continue;
    const std::string unit = field.kind == Kind::kDuration ? "ms" : "";
    const auto accepts = [&](const std::string& text) {
      Config config;
      const std::string value = text + unit;
      const auto set = SetField(field, {&value, 1}, config);
      if (!set) {
        EXPECT_EQ(set.error(), value + " is out of range (allowed: " + field.Allowed() + ")");
      }
      return set.has_value();
    };
    EXPECT_TRUE(accepts(std::to_string(field.least))) << field.key;
    EXPECT_TRUE(accepts(std::to_string(field.most))) << field.key;
    EXPECT_FALSE(accepts(field.least == 0 ? "-1" : std::to_string(field.least - 1))) << field.key;
    EXPECT_FALSE(accepts(std::to_string(field.most + 1))) << field.key;
  }
}

TEST(Fields, HaveDistinctKeysAndVariablesAndPlaces) {
  std::set<std::string> seen;
  for (const Field& field : Fields()) {
    EXPECT_TRUE(seen.insert(std::string(field.key)).second) << field.key;
    EXPECT_TRUE(seen.insert(field.Variable()).second) << field.key;
    EXPECT_TRUE(field.help.ends_with('.')) << field.key;
    EXPECT_NE(field.Variable(), kFileVariable);
    Config config;
    const auto address = std::visit([&](auto place) -> const void* { return place(config); }, field.place);
    EXPECT_TRUE(seen.insert(std::to_string(reinterpret_cast<std::uintptr_t>(address))).second) << field.key;
  }
  EXPECT_EQ(FindField("http.max_connections")->Variable(), "LAZARET_HTTP_MAX_CONNECTIONS");
}

TEST(Fields, ShowWhatTheyReadBack) {
  for (const Field& field : Fields()) {
    const std::string value = ShowValue(field, Config{});
    Config config;
    EXPECT_TRUE(SetField(field, {&value, 1}, config)) << field.key;
    EXPECT_EQ(config, Config{}) << field.key;
  }
}

TEST(SampleFile, IsValidAsItIs) { EXPECT_THAT(ProblemsOf(SampleFile(Config{})), IsEmpty()); }

TEST(SampleFile, HoldsEveryDefault) {
  // Starting from other values shows that the file sets each of them.
  std::string text = SampleFile(Config{});
  for (std::size_t at = 0; (at = text.find("\n#", at)) != text.npos; ++at) {
    if (text[at + 2] != ' ') text.erase(at + 1, 1);
  }
  Config other;
  for (const Field& field : Fields()) {
    if (!HasRange(field)) continue;
    const std::string most = std::to_string(field.most) + (field.kind == Kind::kDuration ? "ms" : "");
    ASSERT_TRUE(SetField(field, {&most, 1}, other));
  }
  const TomlFile file = ParseTomlFile(text, "sample");
  EXPECT_THAT(file.problems, IsEmpty());
  EXPECT_EQ(file.given.size(), Fields().size());
  for (const Given& given : file.given) {
    ASSERT_TRUE(SetField(*FindField(given.key), given.values, other)) << given.key;
  }
  EXPECT_EQ(other, Config{});
}

TEST(CheckText, ShowsEveryValueWithItsUnitAndOrigin) {
  const auto loaded = Load(kRoot, std::nullopt, {Flag("engine.deadline", "90s")});
  const std::string text = CheckText(*loaded);
  for (const Field& field : Fields()) EXPECT_THAT(text, HasSubstr("\n" + std::string(field.key) + " "));
  EXPECT_THAT(text, testing::ContainsRegex("\nengine.deadline +  = \"90s\" +  # --engine.deadline\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\ncontent.max_size +  = \"4GiB\" +  # default\n"));
}

TEST(CheckJson, HoldsPlainNumbersAndShownValues) {
  const std::string text = CheckJson(*Load(kRoot, std::nullopt, {Flag("data", "/a\"b")}));
  EXPECT_THAT(text, HasSubstr(R"("engine.deadline":{"value":120000,"shown":"2m","origin":"default"})"));
  EXPECT_THAT(text, HasSubstr(R"("http.min_body_rate":{"value":16384,"shown":"16KiB/s","origin":"default"})"));
  EXPECT_THAT(text, HasSubstr(R"("listen":{"value":["127.0.0.1:8484"],"shown":"127.0.0.1:8484","origin":"default"})"));
  EXPECT_THAT(text, HasSubstr(R"("data":{"value":"/a\"b","shown":"/a\"b","origin":"--data"})"));
  EXPECT_THAT(text, HasSubstr(R"("signatures.pua":{"value":false,)"));
  EXPECT_THAT(text, HasSubstr(R"("clamd.socket_mode":{"value":"0660","shown":"0660","origin":"default"})"));
  EXPECT_THAT(text, HasSubstr(R"("clamd.listen":{"value":[],"shown":"","origin":"default"})"));
}

}  // namespace
}  // namespace lazaret::config
