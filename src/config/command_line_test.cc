#include "config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/field.h"
#include "config/value.h"

namespace lazaret::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Result<Command> Parse(std::vector<std::string> arguments, Environment environment = {}) {
  return ParseCommandLine(arguments, Surroundings{std::move(environment), true});
}

Config ServeConfig(std::vector<std::string> arguments, Environment environment = {}) {
  const auto command = Parse(std::move(arguments), std::move(environment));
  if (!command) {
    ADD_FAILURE() << command.error().what;
    return {};
  }
  return std::get<Serve>(*command).config;
}

std::string ErrorOf(std::vector<std::string> arguments, Environment environment = {}) {
  const auto command = Parse(std::move(arguments), std::move(environment));
  if (command) return "no error";
  EXPECT_EQ(command.error().code, Errc::kMalformed);
  EXPECT_THAT(command.error().what, testing::EndsWith("\n"));
  return command.error().what;
}

template <class T>
std::string TextOf(std::vector<std::string> arguments) {
  const auto command = Parse(std::move(arguments));
  return command && std::holds_alternative<T>(*command) ? std::get<T>(*command).text : "something else";
}

TEST(CommandLine, ServesWithTheDefaults) { EXPECT_EQ(ServeConfig({"serve"}), Config{}); }

TEST(CommandLine, TakesTheCommonFlags) {
  Config expected;
  expected.listen = {{"0.0.0.0", 80}, {"::1", 81}};
  expected.data = "/d";
  expected.threads = 3;
  expected.log = {LogFormat::kJson, LogLevel::kWarning};
  expected.signatures.directory = "/s";
  expected.signatures.test_set = true;
  expected.engine.scanners = 5;
  expected.engine.kind = EngineKind::kClamd;
  expected.engine.clamd = {{.path = "/c"}, {.host = "::1", .port = 3310}};
  EXPECT_EQ(ServeConfig({"serve",
                         "--listen",
                         "0.0.0.0:80",
                         "--data=/d",
                         "--threads",
                         "3",
                         "--listen",
                         "[::1]:81",
                         "--log-format",
                         "json",
                         "--log-level=warning",
                         "--signatures",
                         "/s",
                         "--test-signatures",
                         "--scanners",
                         "5",
                         "--engine",
                         "clamd",
                         "--clamd",
                         "unix:/c",
                         "--clamd",
                         "tcp:[::1]:3310"}),
            expected);
}

TEST(CommandLine, TakesSeveralAddressesForClamd) {
  EXPECT_THAT(
      ServeConfig({"serve", "--clamd-listen", "unix:/run/a.sock", "--clamd-listen=tcp:[::1]:3310"}).clamd.listen,
      ElementsAre(ServerAddress{.path = "/run/a.sock"}, ServerAddress{.host = "::1", .port = 3310}));
}

TEST(CommandLine, SetsEveryFieldByItsKey) {
  const auto other_value = [](const Field& field) -> std::string {
    switch (field.kind) {
      case Kind::kListen: return "127.0.0.1:1,[::1]:2";
      case Kind::kClamdListen: return "unix:/a,tcp:127.0.0.1:1";
      case Kind::kPaths: return "/a,/b";
      case Kind::kClamdUnscannable: return "found";
      case Kind::kClamdReload: return "refuse";
      case Kind::kCacheStale: return "serve-and-rescan";
      case Kind::kSignatureReload: return "drain";
      case Kind::kProbeEicar: return "require";
      case Kind::kSignatureAge: return "fail";
      case Kind::kEngine: return "clamd";
      case Kind::kRole: return "api";
      case Kind::kRedisUrl: return "redis://redis.example:6379/0";
      case Kind::kServers: return "unix:/s,tcp:clamd.example:3310";
      case Kind::kLogFormat: return "json";
      case Kind::kLogLevel: return "error";
      case Kind::kSwitch: return ShowValue(field, Config{}) == "true" ? "false" : "true";
      case Kind::kDuration: return std::to_string(field.least + 1) + "ms";
      default: return std::to_string(field.least + 1);
    }
  };
  // Small contents, so that no budget is too small for them, and a short turn, so that every timeout is longer.
  const std::vector<std::string> base = {"serve",
                                         "--set",
                                         "content.memory_file_size=0",
                                         "--set",
                                         "content.max_size=1",
                                         "--clamd",
                                         "unix:/x",
                                         "--redis",
                                         "unix:/x",
                                         "--set",
                                         "redis.turn=1s"};
  for (const Field& field : Fields()) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), {"--set", std::string(field.key) + "=" + other_value(field)});
    EXPECT_NE(ServeConfig(arguments), ServeConfig(base)) << field.key;
  }
}

TEST(CommandLine, KeepsEqualsSignsInValuesAndAllowsEmptyOnes) {
  EXPECT_EQ(ServeConfig({"serve", "--set", "data=/a=b"}).data, "/a=b");
  EXPECT_EQ(ServeConfig({"serve", "--set=data=/a=b"}).data, "/a=b");
  EXPECT_EQ(ServeConfig({"serve", "--set", "engine.scanner_program="}, {{"LAZARET_ENGINE_SCANNER_PROGRAM", "/x"}})
                .engine.scanner_program,
            "");
}

TEST(CommandLine, LetsTheLaterOneWin) {
  EXPECT_EQ(ServeConfig({"serve", "--threads", "1", "--threads", "2"}).threads, 2u);
  EXPECT_EQ(ServeConfig({"serve", "--threads", "1", "--set", "threads=2"}).threads, 2u);
  EXPECT_EQ(ServeConfig({"serve", "--set", "threads=2", "--threads", "1"}).threads, 1u);
  EXPECT_EQ(ServeConfig({"serve", "--test-signatures", "--test-signatures=false"}).signatures.test_set, false);
}

TEST(CommandLine, LetsFlagsReplaceTheAddressesOfTheFile) {
  EXPECT_THAT(ServeConfig({"serve", "--listen", "[::1]:1"}, {{"LAZARET_LISTEN", "127.0.0.1:1,127.0.0.1:2"}}).listen,
              ElementsAre(ListenAddress{"::1", 1}));
  EXPECT_EQ(ServeConfig({"serve"}, {{"LAZARET_LISTEN", "127.0.0.1:1,127.0.0.1:2"}}).listen.size(), 2u);
}

TEST(CommandLine, AddsUpRepeatedFlagsOfAList) {
  const Config config = ServeConfig({"serve", "--webhook-host", "a", "--webhook-host", "b,c"});
  EXPECT_THAT(config.webhook.hosts, testing::ElementsAre("a", "b", "c"));
}

TEST(CommandLine, ReadsTheFileThatIsNamed) {
  const std::string base = testing::TempDir() + "command_line_test-" + std::to_string(::getpid());
  std::ofstream(base + ".1") << "threads = 1";
  std::ofstream(base + ".2") << "threads = 2";
  EXPECT_EQ(ServeConfig({"serve", "--config", base + ".1"}).threads, 1u);
  EXPECT_EQ(ServeConfig({"serve"}, {{"LAZARET_CONFIG", base + ".2"}}).threads, 2u);
  EXPECT_EQ(ServeConfig({"serve", "--config", base + ".1"}, {{"LAZARET_CONFIG", base + ".2"}}).threads, 1u);
  EXPECT_EQ(ServeConfig({"serve"}, {{"LAZARET_CONFIG", ""}}).threads, 0u);
  std::filesystem::remove(base + ".1");
  std::filesystem::remove(base + ".2");
  EXPECT_EQ(ErrorOf({"serve", "--config", base + ".1"}),
            "The configuration has an error:\n  " + base +
                ".1: cannot be read: No such file or directory\nSee: lazaret serve --help\n");
}

TEST(CommandLine, NamesTheFlagOfABadValue) {
  EXPECT_EQ(ErrorOf({"serve", "--threads", "-1"}),
            "The configuration has an error:\n  --threads: -1 is out of range (allowed: 0 to 1024)\n"
            "See: lazaret serve --help\n");
  EXPECT_EQ(ErrorOf({"serve", "--set", "http.max_parts=0", "--set", "foo=1"}),
            "The configuration has 2 errors:\n  --set http.max_parts: 0 is out of range (allowed: 1 to 100000)\n"
            "  --set foo: no such setting; the nearest is role\nSee: lazaret serve --help\n");
}

TEST(CommandLine, NamesTheNearestOption) {
  EXPECT_EQ(ErrorOf({"serve", "--thread", "4"}),
            "lazaret: unknown option --thread; the nearest is --threads\nSee: lazaret serve --help\n");
  EXPECT_THAT(ErrorOf({"serve", "--idle-timeout=4s"}),
              StartsWith("lazaret: unknown option --idle-timeout; write --set http.idle_timeout=TIME\n"));
  EXPECT_THAT(ErrorOf({"version", "--jsno"}), StartsWith("lazaret: unknown option --jsno; the nearest is --json\n"));
  EXPECT_THAT(ErrorOf({"serve", "--json"}), HasSubstr("unknown option --json"));
  EXPECT_THAT(ErrorOf({"serve", "-x"}), HasSubstr("unknown option -x"));
}

TEST(CommandLine, ShowsMisuseAndBadValuesTogether) {
  const std::string error = ErrorOf({"serve", "extra", "--set", "threads", "--threads", "x"}, {{"LAZARET_FOO", "1"}});
  EXPECT_THAT(error, HasSubstr("unexpected argument extra\n"));
  EXPECT_THAT(error, HasSubstr("--set threads: write --set KEY=VALUE\n"));
  EXPECT_THAT(error, HasSubstr("LAZARET_FOO: no such setting"));
  EXPECT_THAT(error, HasSubstr("--threads: \"x\" is not a whole number"));
}

TEST(CommandLine, RefusesAFlagWithoutItsValue) {
  EXPECT_THAT(ErrorOf({"serve", "--data"}), HasSubstr("--data"));
  EXPECT_THAT(ErrorOf({"serve", "--data=", "--threads=1"}), HasSubstr("--data= has no value"));
}

TEST(CommandLine, SaysWhatToDoWhenNothingWasAsked) {
  EXPECT_EQ(ErrorOf({}),
            "lazaret: say what to do: serve, config check, config sample, jobs, override, signatures or version\nSee: "
            "lazaret --help\n");
  EXPECT_THAT(ErrorOf({"--data", "x"}), HasSubstr("say what to do"));
  EXPECT_EQ(ErrorOf({"config"}),
            "lazaret: say what to do: config check or config sample\nSee: lazaret config --help\n");
  EXPECT_THAT(ErrorOf({"sevre"}), StartsWith("lazaret: unknown command sevre; the nearest is serve\n"));
  EXPECT_THAT(ErrorOf({"config", "show"}), HasSubstr("unexpected argument show"));
  EXPECT_THAT(ErrorOf({"serve", "version"}), HasSubstr("unexpected argument version"));
}

Jobs JobsOf(std::vector<std::string> arguments, Environment environment = {}) {
  const auto command = Parse(std::move(arguments), std::move(environment));
  if (command && std::holds_alternative<Jobs>(*command)) return std::get<Jobs>(*command);
  ADD_FAILURE() << (command ? "something else" : command.error().what);
  return {};
}

TEST(CommandLine, ListsJobs) {
  const Jobs plain = JobsOf({"jobs", "list"});
  EXPECT_EQ(plain.action, Jobs::Action::kList);
  EXPECT_EQ(plain.data, Config{}.data);
  EXPECT_EQ(plain.state, "");
  EXPECT_EQ(plain.limit, 100u);
  EXPECT_FALSE(plain.json);
  const Jobs full =
      JobsOf({"jobs", "list", "--state", "done", "--limit=1", "--state=dead", "--limit", "10000", "--json"});
  EXPECT_EQ(full.state, "dead");
  EXPECT_EQ(full.limit, 10'000u);
  EXPECT_TRUE(full.json);
  EXPECT_EQ(JobsOf({"jobs", "list", "--limit", "1"}).limit, 1u);
}

TEST(CommandLine, TakesTheIdsOfJobs) {
  const std::string id(64, 'a');
  const Jobs show = JobsOf({"jobs", "show", id, "--json", "01234567"});
  EXPECT_EQ(show.action, Jobs::Action::kShow);
  EXPECT_THAT(show.ids, ElementsAre(id, "01234567"));
  EXPECT_TRUE(show.json);
  EXPECT_EQ(JobsOf({"jobs", "retry", id}).action, Jobs::Action::kRetry);
  EXPECT_EQ(JobsOf({"jobs", "drop", id}).action, Jobs::Action::kDrop);
  EXPECT_THAT(ErrorOf({"jobs", "show"}), StartsWith("lazaret: say which job: give its id"));
  for (const std::string& bad : {std::string("0123456"), id + "a", std::string("0123456A"), std::string("01234-67")}) {
    EXPECT_EQ(ErrorOf({"jobs", "drop", id, bad}),
              "lazaret: " + bad + " is no id: 8 to 64 lower-case hexadecimal digits\nSee: lazaret jobs --help\n");
  }
}

TEST(CommandLine, FindsTheDataOfTheServerThatIsMeant) {
  const std::string file = testing::TempDir() + "command_line_test-jobs-" + std::to_string(::getpid());
  std::ofstream(file) << "data = '/file'";
  EXPECT_EQ(JobsOf({"jobs", "list", "--config", file}).data, "/file");
  EXPECT_EQ(JobsOf({"jobs", "list"}, {{"LAZARET_CONFIG", file}}).data, "/file");
  EXPECT_EQ(JobsOf({"jobs", "list"}, {{"LAZARET_CONFIG", file}, {"LAZARET_DATA", "/variable"}}).data, "/variable");
  EXPECT_EQ(JobsOf({"jobs", "show", "01234567", "--data=/flag"}, {{"LAZARET_DATA", "/variable"}}).data, "/flag");
  std::ofstream(file) << "dta = '/file'";
  EXPECT_EQ(ErrorOf({"jobs", "list", "--config", file}),
            "The configuration has an error:\n  " + file +
                ":1:1: dta: no such setting; the nearest is data\nSee: lazaret jobs --help\n");
  std::filesystem::remove(file);
}

TEST(CommandLine, ExplainsMisuseOfJobs) {
  EXPECT_EQ(ErrorOf({"jobs"}),
            "lazaret: say what to do: jobs list, jobs show, jobs retry or jobs drop\nSee: lazaret jobs --help\n");
  EXPECT_THAT(ErrorOf({"jobs", "lsit"}), StartsWith("lazaret: unknown command jobs lsit; the nearest is list\n"));
  EXPECT_THAT(ErrorOf({"job", "list"}), StartsWith("lazaret: unknown command job; the nearest is jobs\n"));
  EXPECT_THAT(ErrorOf({"jobs", "list", "--state", "daed"}), HasSubstr("there is no state daed; the nearest is dead\n"));
  EXPECT_THAT(ErrorOf({"jobs", "list", "--state"}), HasSubstr("--state"));
  for (const char* limit : {"0", "10001", "x", "-1"}) {
    EXPECT_THAT(ErrorOf({"jobs", "list", "--limit", limit}),
                HasSubstr(std::string(limit) + " is not a number from 1 to 10000"));
  }
  EXPECT_THAT(ErrorOf({"jobs", "list", "01234567"}), HasSubstr("unexpected argument 01234567"));
  EXPECT_THAT(ErrorOf({"jobs", "list", "--jsn"}), HasSubstr("unknown option --jsn; the nearest is --json"));
  EXPECT_THAT(ErrorOf({"jobs", "show", "01234567", "--state", "dead"}), HasSubstr("unknown option --state"));
  EXPECT_THAT(ErrorOf({"jobs", "show", "01234567", "--threads", "1"}), HasSubstr("unknown option --threads"));
  EXPECT_THAT(ErrorOf({"jobs", "list", "--limt", "5"}, {{"LAZARET_FOO", "1"}}),
              testing::AllOf(HasSubstr("unknown option --limt; the nearest is --limit"), HasSubstr("LAZARET_FOO")));
}

Overrides OverridesOf(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "override");
  const auto command = Parse(std::move(arguments));
  if (command && std::holds_alternative<Overrides>(*command)) return std::get<Overrides>(*command);
  ADD_FAILURE() << (command ? "something else" : command.error().what);
  return {};
}

TEST(CommandLine, AddsListsAndRemovesOverrides) {
  const Overrides plain = OverridesOf({"add", "./file", "clean", "--reason", "a word"});
  EXPECT_EQ(plain.action, Overrides::Action::kAdd);
  EXPECT_THAT(plain.contents, ElementsAre("./file"));
  EXPECT_EQ(plain.verdict, "clean");
  EXPECT_EQ(plain.reason, "a word");
  EXPECT_EQ(plain.signature, "");
  EXPECT_FALSE(plain.end);
  EXPECT_FALSE(plain.json);
  EXPECT_EQ(plain.data, Config{}.data);
  const Overrides full = OverridesOf({"add", std::string(64, 'a'), "infected", "--reason=why", "--signature", "My.Name",
                                      "--until", "2h", "--json", "--data", "/d"});
  EXPECT_EQ(full.verdict, "infected");
  EXPECT_EQ(full.signature, "My.Name");
  ASSERT_TRUE(full.end);
  EXPECT_EQ(full.end->after, std::chrono::hours(2));
  EXPECT_TRUE(full.json);
  EXPECT_EQ(full.data, "/d");
  EXPECT_TRUE(OverridesOf({"list", "--json"}).json);
  EXPECT_THAT(OverridesOf({"remove", "a", "b"}).contents, ElementsAre("a", "b"));
  EXPECT_THAT(TextOf<Help>({"override", "add", "--help"}), StartsWith("lazaret override - "));
}

TEST(CommandLine, ExplainsMisuseOfOverrides) {
  EXPECT_THAT(ErrorOf({"override"}), HasSubstr("say what to do: override add, override list or override remove\n"));
  EXPECT_THAT(ErrorOf({"override", "ad"}), HasSubstr("unknown command override ad; the nearest is add"));
  EXPECT_THAT(ErrorOf({"override", "add", "--reason", "x"}), HasSubstr("say which content"));
  EXPECT_THAT(ErrorOf({"override", "add", "f", "clean"}), HasSubstr("--reason: say why"));
  EXPECT_THAT(ErrorOf({"override", "remove"}), HasSubstr("say which content"));
  EXPECT_THAT(ErrorOf({"override", "list", "f"}), HasSubstr("unexpected argument f"));
  EXPECT_THAT(ErrorOf({"override", "add", "f", "clean", "--reason", "x", "--signature", "S"}),
              HasSubstr("--signature"));
  EXPECT_THAT(ErrorOf({"override", "add", "f", "clean", "--reason", "x", "--untl", "2h"}),
              HasSubstr("the nearest is --until"));
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"f"}, {"f", "unscannable"}, {"f", "g", "clean"}, {"clean", "f"}}) {
    std::vector<std::string> arguments = {"override", "add", "--reason", "x"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    EXPECT_THAT(ErrorOf(arguments), HasSubstr("say one content, then what it is")) << words.size();
  }
  EXPECT_THAT(ErrorOf({"override", "add", "f", "clean", "--reason", "x", "--until", "tomorrow"}),
              HasSubstr("--until: tomorrow is neither a time"));
}

TEST(ParseEnd, KnowsTimesAndDurations) {
  EXPECT_EQ(ParseEnd("1ms")->after, milliseconds(1));
  EXPECT_EQ(ParseEnd("3650d")->after, std::chrono::days(3650));
  EXPECT_EQ(ParseEnd("2026-11-30")->at, "2026-11-30T00:00:00.000Z");
  EXPECT_EQ(ParseEnd("2026-11-30T18:05Z")->at, "2026-11-30T18:05:00.000Z");
  EXPECT_EQ(ParseEnd("2026-11-30T18:05:09Z")->at, "2026-11-30T18:05:09.000Z");
  EXPECT_EQ(ParseEnd("2026-11-30T18:05:09.123Z")->at, "2026-11-30T18:05:09.123Z");
  for (const char* text : {"",
                           "0s",
                           "3651d",
                           "5",
                           "-5s",
                           "99999999999999999999d",
                           "2026",
                           "2026-11",
                           "2026-11-31",
                           "2026-13-01",
                           "2026-11-30Z",
                           "2026-11-30T",
                           "2026-11-30T18Z",
                           "2026-11-30T18:05",
                           "2026-11-30T18:05:09",
                           "2026-11-30T18:05:09.1Z",
                           "2026-11-30T24:00Z",
                           "2026-11-30 18:05Z",
                           "2026-11-30T18:05:09+01:00",
                           "2026-11-30T18:05:09.1234Z"}) {
    EXPECT_FALSE(ParseEnd(text)) << text;
  }
}

TEST(CommandLine, PrintsVersions) {
  EXPECT_FALSE(std::get<Version>(*Parse({"version"})).json);
  EXPECT_TRUE(std::get<Version>(*Parse({"version", "--json"})).json);
  EXPECT_FALSE(std::get<Version>(*Parse({"--version"})).json);
}

TEST(CommandLine, DescribesEveryFieldInTheHelpOfServe) {
  const std::string help = TextOf<Help>({"serve", "--help"});
  for (const Field& field : Fields()) {
    EXPECT_THAT(help, HasSubstr("  " + std::string(field.key) + "="));
    if (!field.flag.empty()) EXPECT_THAT(help, HasSubstr("  or  " + std::string(field.flag)));
  }
  EXPECT_THAT(help, HasSubstr("1KiB to 60KiB; default 32KiB\n"));
  EXPECT_EQ(TextOf<Help>({"serve", "-h", "--threads", "x"}), help);
}

TEST(CommandLine, HasHelpForEveryCommand) {
  EXPECT_THAT(TextOf<Help>({"--help"}), StartsWith("lazaret - "));
  EXPECT_THAT(TextOf<Help>({"config", "--help"}), StartsWith("lazaret config - "));
  EXPECT_THAT(TextOf<Help>({"config", "check", "--help"}), StartsWith("lazaret config check - "));
  EXPECT_THAT(TextOf<Help>({"config", "sample", "-h"}), StartsWith("lazaret config sample - "));
  EXPECT_THAT(TextOf<Help>({"version", "--help"}), StartsWith("lazaret version - "));
  EXPECT_THAT(TextOf<Help>({"jobs", "--help"}), StartsWith("lazaret jobs - "));
  EXPECT_EQ(TextOf<Help>({"jobs", "drop", "-h"}), TextOf<Help>({"jobs", "--help"}));
}

TEST(CommandLine, ChecksWithTheOptionsOfServe) {
  const auto good = std::get<ConfigCheck>(*Parse({"config", "check", "--threads", "9"}));
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_THAT(good.text, testing::ContainsRegex("\nthreads +  = 9 "));
  const auto bad = std::get<ConfigCheck>(*Parse({"config", "check", "--threads", "x"}));
  EXPECT_EQ(bad.exit_code, kUsageExitCode);
  EXPECT_EQ(bad.text,
            "The configuration has an error:\n  --threads: \"x\" is not a whole number (allowed: 0 to 1024)\n");
  EXPECT_THAT(std::get<ConfigCheck>(*Parse({"config", "check", "--json"})).text, StartsWith("{\"ok\":true,"));
  EXPECT_EQ(std::get<ConfigCheck>(*Parse({"config", "check", "--json", "--set", "data="})).text,
            "{\"ok\":false,\"problems\":[\"--set data: is empty (allowed: a path)\"]}\n");
}

TEST(CommandLine, PrintsASample) {
  EXPECT_THAT(TextOf<ConfigSample>({"config", "sample"}), HasSubstr("\n#listen = ["));
}

TEST(CurrentSurroundings, SplitsTheEnvironment) {
  const char* const environment[] = {"A=1", "B=x=y", "C=", "broken", nullptr};
  const Environment expected = {{"A", "1"}, {"B", "x=y"}, {"C", ""}};
  EXPECT_EQ(CurrentSurroundings(environment).environment, expected);
}

Signatures SignaturesOf(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "signatures");
  const auto command = ParseCommandLine(arguments, {{}, true});
  if (command && std::holds_alternative<Signatures>(*command)) return std::get<Signatures>(*command);
  ADD_FAILURE() << (command ? "another command" : command.error().what);
  return {.action = Signatures::Action::kStatus};
}

TEST(CommandLine, KnowsWhatCanBeDoneAboutSignatures) {
  const Signatures status = SignaturesOf({"status"});
  EXPECT_EQ(status.action, Signatures::Action::kStatus);
  EXPECT_EQ(status.config.data, Config{}.data);
  EXPECT_FALSE(status.json);
  const Signatures reload = SignaturesOf({"reload", "--force", "--json", "--data", "/d"});
  EXPECT_EQ(reload.action, Signatures::Action::kReload);
  EXPECT_TRUE(reload.force);
  EXPECT_TRUE(reload.json);
  EXPECT_EQ(reload.config.data, "/d");
  EXPECT_FALSE(SignaturesOf({"reload"}).force);
  EXPECT_EQ(SignaturesOf({"rollback", "--reason", "a b"}).reason, "a b");
  EXPECT_EQ(SignaturesOf({"rollback"}).action, Signatures::Action::kRollback);
  const Signatures check = SignaturesOf({"check", "./new", "--json"});
  EXPECT_EQ(check.action, Signatures::Action::kCheck);
  EXPECT_EQ(check.directory, "./new");
  EXPECT_THAT(TextOf<Help>({"signatures", "check", "--help"}), StartsWith("lazaret signatures - "));
}

TEST(CommandLine, ExplainsMisuseOfSignatures) {
  EXPECT_THAT(ErrorOf({"signatures"}), HasSubstr("say what to do: signatures status, signatures reload, signatures "
                                                 "rollback or signatures check\n"));
  EXPECT_THAT(ErrorOf({"signatures", "rolback"}), HasSubstr("the nearest is rollback"));
  EXPECT_THAT(ErrorOf({"signatures", "check"}), HasSubstr("say which directory"));
  EXPECT_THAT(ErrorOf({"signatures", "check", "a", "b"}), HasSubstr("say one directory"));
  EXPECT_THAT(ErrorOf({"signatures", "status", "x"}), HasSubstr("unexpected argument x"));
  EXPECT_THAT(ErrorOf({"signatures", "rollback", "--force"}), HasSubstr("unknown option --force"));
}

}  // namespace
}  // namespace lazaret::config
