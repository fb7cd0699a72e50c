// `lazaret override` against running servers: one of its own, and several that share a Redis.
#include <pwd.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "integration/callback_receiver.h"
#include "integration/clamd_door_fixture.h"
#include "integration/clamd_process.h"
#include "integration/redis_process.h"
#include "integration/run_lazaret.h"

namespace lazaret::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using namespace std::string_literals;

constexpr const char* kSecret = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiB0aGlydHkgYnl0ZXM=";

// One server with both front doors, and the command that talks to it.
class Node {
 public:
  Node(ServerOptions options, const TestDirectory& root, const std::string& name)
      : data_(root / name), door_(root / (name + ".sock")) {
    options.data = data_;
    options.arguments.insert(options.arguments.end(), {"--clamd-listen", "unix:" + door_.native()});
    options_ = std::move(options);
    Start();
  }
  void Start() { process_ = std::make_unique<ServerProcess>(options_); }
  bool IsReady() const { return process_->WaitUntilReady(); }

  Outcome Override(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "override");
    arguments.insert(arguments.end(), {"--data", data_.native()});
    return RunLazaret(std::move(arguments));
  }
  bool Add(const std::string& content, const std::string& verdict, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"add", IdOf(content), verdict, "--reason", "told to"});
    const Outcome outcome = Override(std::move(more));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status == 0;
  }

  Result<HttpResponse> Scan(std::string_view content) const { return Post(port(), "/v1/scan", content); }
  // "clean", "infected by override", ...
  std::string VerdictOf(std::string_view content) const {
    const auto answer = Scan(content);
    if (!answer || answer->status != 200) return answer ? answer->body : answer.error().what;
    const auto scan = ParseJson(*answer);
    return TextOf(scan, "verdict") + (scan.contains("override") ? " by override" : "");
  }
  std::string DoorSays(std::string_view content) const { return tests::Ask(door_, "nINSTREAM\n" + Stream(content)); }
  ServerProcess& process() { return *process_; }
  std::uint16_t port() const { return process_->port(); }

 private:
  const std::filesystem::path data_;
  const std::filesystem::path door_;
  ServerOptions options_;
  std::unique_ptr<ServerProcess> process_;
};

class Overridden : public ServerTest {
 protected:
  Node MakeNode(const std::string& name, std::vector<std::string> arguments = {}) const {
    ServerOptions options = Options();
    options.arguments = std::move(arguments);
    return Node(options, root_, name);
  }
};

TEST_F(Overridden, AnswersOnEveryFrontDoor) {
  root_.Write("secret", std::string(kSecret) + "\n");
  const CallbackReceiver receiver;
  Node node = MakeNode(
      "own", {"--webhook-host", fmt::format("127.0.0.1:{}", receiver.port()), "--set",
              "webhook.secret_file=" + (root_ / "secret").native(), "--set", "webhook.private_networks=127.0.0.0/8"});
  ASSERT_TRUE(node.IsReady());
  const std::string good = "harmless, but not wanted";
  const std::string bad = EicarWithPrefix(1);
  EXPECT_EQ(node.VerdictOf(good), "clean");
  EXPECT_EQ(node.VerdictOf(bad), "infected");
  ASSERT_TRUE(node.Add(good, "infected"));
  ASSERT_TRUE(node.Add(bad, "clean"));

  EXPECT_EQ(node.VerdictOf(good), "infected by override");
  EXPECT_EQ(node.VerdictOf(bad), "clean by override");
  const auto denied = ParseJson(*node.Scan(good));
  EXPECT_EQ(denied.at("signatures").as_array().at(0), "Lazaret.Override");
  EXPECT_EQ(TextOf(denied.at("override").as_object(), "reason"), "told to");
  const passwd* const user = ::getpwuid(::geteuid());
  EXPECT_EQ(TextOf(denied.at("override").as_object(), "by"),
            user != nullptr ? user->pw_name : fmt::format("uid {}", ::geteuid()));
  EXPECT_THAT(Post(node.port(), "/v1/scan?on_infected=403", good), HasStatus(403));
  EXPECT_THAT(Post(node.port(), "/v1/scan?on_infected=403", bad), HasStatus(200));
  const auto form =
      Post(node.port(), "/v1/scan", MakeMultipart({{"a", "a.txt", good}, {"b", "b.txt", bad}}), MultipartHeaders());
  ASSERT_THAT(form, HasStatus(200));
  EXPECT_THAT(form->body, AllOf(HasSubstr(R"("verdict":"infected")"), HasSubstr(R"("verdict":"clean")")));

  // By its digest alone: the body is never asked for.
  HttpConnection connection(node.port());
  ASSERT_TRUE(connection.Send(MakeRequest("POST", "/v1/scan",
                                          {{"Repr-Digest", ReprDigestOf(good)},
                                           {"Expect", "100-continue"},
                                           {"Content-Length", std::to_string(good.size())}})));
  const auto early = connection.Receive();
  ASSERT_THAT(early, HasVerdict("infected"));

  EXPECT_EQ(node.DoorSays(good), "stream: Lazaret.Override FOUND\n");
  EXPECT_EQ(node.DoorSays(bad), "stream: OK\n");

  const auto submitted = Post(node.port(), "/v1/scans?callback=" + receiver.Url(), bad);
  ASSERT_THAT(submitted, HasVerdict("clean"));
  EXPECT_THAT(Get(node.port(), "/v1/scans/" + IdOf(bad)), HasVerdict("clean"));
  const auto looked_up = Post(node.port(), "/v1/scans/lookup", fmt::format(R"({{"ids":["{}"]}})", IdOf(good)));
  ASSERT_THAT(looked_up, HasStatus(200));
  EXPECT_THAT(looked_up->body, HasSubstr(R"("verdict":"infected")"));
  const auto calls = receiver.WaitForCalls(1);
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0].body, AllOf(HasSubstr(R"("verdict":"clean")"), HasSubstr(R"("override":{)")));

  const auto page = Get(node.port(), "/metrics");
  ASSERT_THAT(page, HasStatus(200));
  EXPECT_THAT(page->body, HasSubstr("\nlazaret_overrides 2\n"));
  EXPECT_THAT(page->body, Not(HasSubstr(R"(lazaret_override_answers_total{verdict="infected"} 0)")));
  EXPECT_EQ(node.Override({"remove", IdOf(good), IdOf(bad)}).status, 0);
  EXPECT_EQ(node.VerdictOf(good), "clean");
  EXPECT_EQ(node.VerdictOf(bad), "infected");
  for (const char* line : {"override added by the operator", "override used for the first time",
                           "override removed by the operator", "override ended"}) {
    EXPECT_TRUE(node.process().WaitForLog(line)) << line;
  }
}

TEST_F(Overridden, IsNotAskedOfABodyWhileThereIsNoEngine) {
  ServerOptions options = Options();
  options.signatures = root_ / "none";
  std::filesystem::create_directory(options.signatures);
  const Node node(options, root_, "own");
  const std::string content = "small";
  ASSERT_TRUE(node.Add(content, "clean"));
  // Known all the same, as the lookup says.
  ASSERT_TRUE(Eventually([&] {
    const auto known = Get(node.port(), "/v1/scans/" + IdOf(content));
    return known && known->status == 200;
  }));
  EXPECT_THAT(node.Scan(content), HasStatus(503)) << "as one that comes in two pieces is";
}

TEST_F(Overridden, SurvivesARestartAndEndsByItself) {
  Node node = MakeNode("own");
  ASSERT_TRUE(node.IsReady());
  ASSERT_TRUE(node.Add("lasting", "infected", {"--signature", "By.Hand"}));
  ASSERT_TRUE(node.Add("passing", "infected", {"--until", "6s"}));
  EXPECT_EQ(node.VerdictOf("passing"), "infected by override");
  node.process().Kill();
  node.Start();
  ASSERT_TRUE(node.IsReady());
  EXPECT_EQ(node.VerdictOf("lasting"), "infected by override");
  EXPECT_EQ(node.DoorSays("lasting"), "stream: By.Hand FOUND\n");
  EXPECT_TRUE(Eventually([&] { return node.VerdictOf("passing") == "clean"; }));
  EXPECT_EQ(node.DoorSays("passing"), "stream: OK\n");
  const Outcome list = node.Override({"list", "--json"});
  EXPECT_EQ(boost::json::parse(list.out).at("count"), 1) << list.out;
}

TEST_F(Overridden, CommandsHashFilesAndSayWhatIsWrong) {
  Node node = MakeNode("own", {"--set", "override.max_entries=2"});
  ASSERT_TRUE(node.IsReady());
  root_.Write("file", "the content of a file");
  const std::string file = (root_ / "file").native();
  const Outcome added =
      node.Override({"add", file, "clean", "--reason", "a \"reason\" & more", "--until", "2099-01-01"});
  EXPECT_EQ(added.status, 0) << added.err;
  EXPECT_EQ(added.out, IdOf("the content of a file") + "  clean\n");
  const Outcome list = node.Override({"list"});
  EXPECT_THAT(list.out, AllOf(HasSubstr(IdOf("the content of a file") + "  clean "), HasSubstr("a \"reason\" & more"),
                              HasSubstr("2099-01-01T00:00:00.000Z"), HasSubstr("\n1 in force\n")));
  ASSERT_TRUE(node.Add("b", "infected"));
  const Outcome full = node.Override({"add", IdOf("c"), "clean", "--reason", "x"});
  EXPECT_EQ(full.status, 1);
  EXPECT_THAT(full.err, HasSubstr("override.max_entries"));
  ASSERT_TRUE(node.Add("b", "clean")) << "another word about the same content";
  const Outcome over = node.Override({"add", IdOf("b"), "clean", "--reason", "x", "--until", "2020-01-01"});
  EXPECT_EQ(over.status, 1);
  EXPECT_THAT(over.err, HasSubstr("over already"));
  const Outcome missing = node.Override({"remove", "./no-such-file"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("no file that can be read"));
  EXPECT_EQ(node.Override({"remove", file}).status, 0);
  EXPECT_EQ(node.Override({"remove", file}).status, 3);
  EXPECT_EQ(node.Override({"remove", IdOf("b"), file}).status, 3) << "the other one is removed";
  EXPECT_EQ(boost::json::parse(node.Override({"list", "--json"}).out).at("count"), 0);
}

class OverriddenFleet : public Overridden {
 protected:
  Node Member(const std::string& name) const {
    return MakeNode(name, {"--set", "redis.url=" + redis_.Url(), "--set", "redis.node=" + name});
  }
  static bool Becomes(const Node& node, const std::string& content, const std::string& verdict) {
    return Eventually([&] { return node.VerdictOf(content) == verdict; });
  }

  RedisProcess redis_;
};

TEST_F(OverriddenFleet, EveryNodeKnowsWithinSeconds) {
  Node a = Member("a");
  Node b = Member("b");
  ASSERT_TRUE(a.IsReady() && b.IsReady());
  const std::string bad = EicarWithPrefix(2);
  EXPECT_EQ(b.VerdictOf("good"), "clean");
  EXPECT_EQ(b.VerdictOf(bad), "infected");
  ASSERT_TRUE(a.Add("good", "infected"));
  ASSERT_TRUE(a.Add(bad, "clean"));
  EXPECT_EQ(a.VerdictOf("good"), "infected by override");
  EXPECT_TRUE(Becomes(b, "good", "infected by override"));
  EXPECT_TRUE(Becomes(b, bad, "clean by override"));
  EXPECT_EQ(b.DoorSays("good"), "stream: Lazaret.Override FOUND\n");
  EXPECT_EQ(b.DoorSays(bad), "stream: OK\n");
  const auto said = ParseJson(*b.Scan("good")).at("override").as_object();
  EXPECT_THAT(TextOf(said, "by"), testing::EndsWith("@a"));

  // Removed on the other node, and on all of them.
  EXPECT_EQ(b.Override({"remove", IdOf("good")}).status, 0);
  EXPECT_EQ(b.VerdictOf("good"), "clean");
  EXPECT_TRUE(Becomes(a, "good", "clean"));
  EXPECT_EQ(a.DoorSays("good"), "stream: OK\n");

  ASSERT_TRUE(b.Add("short", "infected", {"--until", "8s"}));
  EXPECT_TRUE(Becomes(a, "short", "infected by override"));
  EXPECT_TRUE(Becomes(a, "short", "clean"));
  EXPECT_TRUE(Becomes(b, "short", "clean"));
}

TEST_F(OverriddenFleet, TheLastKnownStayWhileRedisIsGone) {
  Node a = Member("a");
  ASSERT_TRUE(a.IsReady());
  ASSERT_TRUE(a.Add("good", "infected"));
  ASSERT_TRUE(a.Add("short", "infected", {"--until", "6s"}));
  redis_.Ask({"SAVE"});
  redis_.Kill();
  ASSERT_TRUE(a.process().WaitForLog("overrides are those that were known last"));
  EXPECT_EQ(a.VerdictOf("good"), "infected by override");
  EXPECT_EQ(a.DoorSays("good"), "stream: Lazaret.Override FOUND\n");
  EXPECT_TRUE(Becomes(a, "short", "clean")) << "its time runs on";
  const Outcome refused = a.Override({"add", IdOf("x"), "clean", "--reason", "x"});
  EXPECT_EQ(refused.status, 1) << refused.out;
  EXPECT_EQ(a.Override({"remove", IdOf("good")}).status, 1);
  EXPECT_EQ(a.VerdictOf("good"), "infected by override");

  // Who starts now has none, neither denials nor allowances.
  Node late = Member("late");
  ASSERT_TRUE(late.IsReady());
  EXPECT_EQ(late.VerdictOf("good"), "clean");
  redis_.Start();
  EXPECT_TRUE(Becomes(late, "good", "infected by override"));
  EXPECT_EQ(a.VerdictOf("good"), "infected by override");
}

TEST_F(OverriddenFleet, AJobThatIsQueuedIsAnsweredAndEndsEverywhere) {
  ServerOptions options = Options();
  options.arguments = {"--set", "redis.url=" + redis_.Url(), "--role", "api"};
  Node api(options, root_, "api");
  // No worker yet: the job waits.
  ASSERT_THAT(Post(api.port(), "/v1/scans", "waiting"), HasStatus(202));
  ASSERT_TRUE(api.Add("waiting", "infected"));
  EXPECT_THAT(Get(api.port(), "/v1/scans/" + IdOf("waiting")), HasVerdict("infected"));
  Node worker = Member("worker");
  ASSERT_TRUE(worker.IsReady());
  EXPECT_TRUE(Eventually([&] {
    const auto jobs = RunLazaret({"jobs", "show", IdOf("waiting"), "--json", "--data", (root_ / "api").native()});
    return jobs.status == 0 && jobs.out.contains(R"("state":"done")") && jobs.out.contains(R"("reason":"overridden")");
  }));
  EXPECT_THAT(Get(api.port(), "/v1/scans/" + IdOf("waiting")), HasVerdict("infected"));
  EXPECT_EQ(api.Override({"remove", IdOf("waiting")}).status, 0);
  EXPECT_TRUE(Becomes(worker, "waiting", "clean"));
}

// A server whose signatures are a daily database, as freshclam brings them. libclamav takes an unsigned one only as
// clamd does, so that a clamd scans.
class Stale : public ServerTest {
 protected:
  Stale() {
    root_.MakeDirectory("daily");
    Write(1);
  }
  // Daily database `number`; only the second finds kLater.
  void Write(unsigned number) const {
    std::string signatures = "Test.Eicar:0:*:" + Hex(Eicar()) + "\n";
    if (number == 2) signatures += "Found.Later:0:*:" + Hex(kLater) + "\n";
    root_.Write("daily.new", MakeDailyDatabase(kFirst + number, signatures));
    std::filesystem::rename(root_ / "daily.new", root_ / "daily/daily.cud");
  }
  void StartWith(std::vector<std::string> arguments) {
    clamd_.emplace(
        root_, "clamd",
        ClamdOptions{.settings = {"AlertExceedsMax yes", "AlertEncrypted yes"}, .signatures = root_ / "daily"});
    arguments.insert(arguments.end(), {"--engine", "clamd", clamd_->Flag(), "--set", "clamd_pool.check_interval=200ms",
                                       "--clamd-listen", "unix:" + door().native()});
    Launch(std::move(arguments));
    EXPECT_TRUE(server().WaitUntilReady());
  }
  bool Update(unsigned number) const {
    Write(number);
    clamd_->Ask("zRELOAD\0"s);
    return MetricBecomes("clamav_db_version", kFirst + number);
  }
  Result<HttpResponse> Scan(std::string_view content) const { return Post(port(), "/v1/scan", content); }
  bool IsFresh(std::string_view content) const { return ParseJson(*Scan(content)).at("fresh") == true; }
  std::filesystem::path door() const { return root_ / "door.sock"; }

  static std::string Hex(std::string_view text) {
    std::string hex;
    for (const char c : text) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return hex;
  }

  static constexpr unsigned kFirst = 28'129;
  const std::string kLater = "clean until yesterday";
  std::optional<ClamdProcess> clamd_;
};

TEST_F(Stale, ACleanVerdictIsNotServedUnlessThatIsWanted) {
  StartWith({});
  ASSERT_THAT(Scan(kLater), HasVerdict("clean"));
  ASSERT_TRUE(Update(2));
  EXPECT_THAT(Scan(kLater), HasVerdict("infected"));
}

TEST_F(Stale, ACleanVerdictIsServedWhileTheContentIsScannedAgain) {
  StartWith({"--set", "cache.stale=serve-and-rescan"});
  for (const std::string& content : {kLater, "always clean"s, "another"s}) {
    ASSERT_THAT(Scan(content), HasVerdict("clean"));
  }
  ASSERT_TRUE(Update(2));
  const auto stale = Scan(kLater);
  ASSERT_THAT(stale, HasVerdict("clean"));
  EXPECT_EQ(ParseJson(*stale).at("fresh"), false);
  EXPECT_TRUE(server().WaitForLog("content that was answered as clean by an earlier verdict is not"));
  EXPECT_THAT(Scan(kLater), HasVerdict("infected"));
  EXPECT_TRUE(MetricBecomes("lazaret_rescans_total{verdict=\"infected\"}", 1));

  // By the digest alone there is nothing that could be scanned: the body is asked for.
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(MakeRequest(
      "POST", "/v1/scan",
      {{"Repr-Digest", ReprDigestOf("always clean")}, {"Expect", "100-continue"}, {"Content-Length", "12"}})));
  ASSERT_THAT(connection.Receive(), HasStatus(100));
  ASSERT_TRUE(connection.Send("always clean"));
  const auto served = connection.Receive();
  ASSERT_THAT(served, HasVerdict("clean"));
  EXPECT_EQ(ParseJson(*served).at("fresh"), false);
  EXPECT_TRUE(Eventually([&] { return IsFresh("always clean"); }));

  // clamd's protocol has no mark for it: scanned at once.
  EXPECT_EQ(tests::Ask(door(), "nINSTREAM\n" + Stream("another")), "stream: OK\n");
  EXPECT_TRUE(IsFresh("another"));

  // A signature that is withdrawn is gone at once: an infected verdict is never served stale.
  ASSERT_TRUE(Update(3));
  const auto withdrawn = Scan(kLater);
  ASSERT_THAT(withdrawn, HasVerdict("clean"));
  EXPECT_EQ(ParseJson(*withdrawn).at("fresh"), true);
}

}  // namespace
}  // namespace lazaret::tests
