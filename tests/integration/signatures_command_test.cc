// `lazaret signatures` against a running server, and without one.
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <vector>

#include <fmt/format.h>

#include "integration/clamd_door_fixture.h"
#include "integration/run_lazaret.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SignaturesCommand : public ServerTest {
 protected:
  // One that looks at its directory only when it is told to.
  void StartServer(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--set", "signatures.settle=5m"});
    Start(std::move(more));
  }

  Outcome Signatures(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "signatures");
    arguments.insert(arguments.end(), {"--data", Options().data.native()});
    return RunLazaret(std::move(arguments));
  }
  boost::json::object Status() const {
    const Outcome outcome = Signatures({"status", "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return boost::json::parse(outcome.out).as_object();
  }
  void Put(const std::string& name, const std::string& text) const {
    root_.Write("incoming", text);
    fs::rename(root_ / "incoming", root_ / "signatures" / name);
  }
  static std::string Finds(std::string_view what) {
    std::string line = "Test.Needle:0:*:";
    for (const char c : what) line += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return line + "\n";
  }
};

TEST_F(SignaturesCommand, ReloadsRefusesAndGoesBack) {
  StartServer();
  const std::string needle = "a needle in a haystack";
  const auto first = Status();
  EXPECT_EQ(first.at("in_use"), true);
  EXPECT_TRUE(first.at("previous").is_null());
  EXPECT_EQ(Signatures({"rollback"}).status, 1) << "there is nothing to go back to";
  ASSERT_THAT(Post(port(), "/v1/scan", needle), HasVerdict("clean"));

  Put("needle.ndb", Finds(needle));
  const Outcome reloaded = Signatures({"reload"});
  ASSERT_EQ(reloaded.status, 0) << reloaded.err;
  EXPECT_THAT(reloaded.out, HasSubstr("other signatures are in use now\n"));
  EXPECT_THAT(Post(port(), "/v1/scan", needle), HasVerdict("infected"));
  const auto second = Status();
  EXPECT_EQ(second.at("previous").at("digest"), first.at("current").at("digest"));
  const auto info = ParseJson(*Get(port(), "/v1/info"));
  EXPECT_EQ(info.at("signature_status").at("previous"), second.at("previous")) << "anybody may see it";
  EXPECT_TRUE(info.at("signature_status").at("current").at("loaded_at").is_string());
  EXPECT_NE(second.at("current").at("digest"), first.at("current").at("digest"));
  const Outcome again = Signatures({"reload", "--json"});
  EXPECT_EQ(boost::json::parse(again.out).at("changed"), false) << again.out;

  Put("bad.ndb", "this is no signature\n");
  const Outcome refused = Signatures({"reload"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("Malformed database"));
  const auto after = Status();
  EXPECT_EQ(after.at("current"), second.at("current"));
  EXPECT_EQ(after.at("refused").at("kind"), "does-not-load");
  EXPECT_THAT(after.at("refused").at("reason").as_string().c_str(), HasSubstr("Malformed database"));
  EXPECT_THAT(Signatures({"status"}).out, AllOf(HasSubstr("last refused  does-not-load"), HasSubstr("before ")));
  EXPECT_THAT(Post(port(), "/v1/scan", needle), HasVerdict("infected"));
  fs::remove(root_ / "signatures/bad.ndb");

  const Outcome back = Signatures({"rollback", "--reason", "false alarms & more"});
  ASSERT_EQ(back.status, 0) << back.err;
  EXPECT_THAT(Post(port(), "/v1/scan", needle), HasVerdict("clean"));
  const auto pinned = Status();
  EXPECT_EQ(pinned.at("current").at("digest"), first.at("current").at("digest"));
  EXPECT_EQ(pinned.at("pin").at("digest"), second.at("current").at("digest"));
  EXPECT_THAT(pinned.at("pin").at("reason").as_string().c_str(), HasSubstr("false alarms & more ("));
  const Outcome still = Signatures({"reload"});
  EXPECT_EQ(still.status, 1);
  EXPECT_THAT(still.err, HasSubstr("gone back from"));
  EXPECT_EQ(Signatures({"reload", "--force"}).status, 0);
  EXPECT_THAT(Post(port(), "/v1/scan", needle), HasVerdict("infected"));
  EXPECT_TRUE(Status().at("pin").is_null());
}

constexpr const char* kReady = "{\"status\":\"ready\"}\n";

// The age of a set without dated databases is that of its newest file.
class SignaturesAge : public SignaturesCommand {
 protected:
  void MakeOld(std::chrono::minutes age) const {
    for (const auto& entry : fs::directory_iterator(root_ / "signatures")) {
      fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - age);
    }
  }
  // A server that has begun to watch the age.
  void StartAged(std::chrono::minutes age, const std::string& too_old) {
    MakeOld(age);
    StartServer({"--set", "signatures.max_age=1h", "--set", "signatures.too_old=" + too_old});
  }
};

TEST_F(SignaturesAge, JustUnderTheLimitIsNothingToSay) {
  for (const char* action : {"warn", "fail"}) {
    StartAged(std::chrono::minutes(58), action);
    const auto ready = Get(port(), "/readyz");
    ASSERT_THAT(ready, HasStatus(200));
    EXPECT_EQ(ready->body, kReady);
    EXPECT_EQ(Metric("lazaret_signature_set_too_old"), 0);
    EXPECT_GE(Metric("lazaret_signature_set_age_seconds"), 58 * 60);
    EXPECT_TRUE(Status().at("warning").is_null());
  }
}

TEST_F(SignaturesAge, JustOverItIsAWarningOrAFailureAndScansGoOn) {
  StartAged(std::chrono::minutes(61), "warn");
  const auto warned = Get(port(), "/readyz");
  ASSERT_THAT(warned, HasStatus(200));
  EXPECT_THAT(TextOf(ParseJson(*warned), "warning"), HasSubstr("signatures.max_age"));
  EXPECT_EQ(Metric("lazaret_signature_set_too_old"), 1);
  EXPECT_TRUE(server().WaitForLog("signatures are too old"));
  EXPECT_THAT(Status().at("warning").as_string().c_str(), HasSubstr("signatures.max_age"));
  EXPECT_GE(Status().at("current").at("age_s").as_int64(), 61 * 60);
  EXPECT_THAT(Signatures({"status"}).out, AllOf(HasSubstr("TOO OLD       the signatures in use are 1.0 hours old"),
                                                HasSubstr("signatures, files of 1h ago, loaded ")));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));

  // Anything newer ends it.
  Put("needle.ndb", Finds("a needle in a haystack"));
  ASSERT_EQ(Signatures({"reload"}).status, 0);
  EXPECT_EQ(Get(port(), "/readyz")->body, kReady);
  EXPECT_TRUE(server().WaitForLog("signatures are not too old any more"));

  fs::remove(root_ / "signatures/needle.ndb");
  MakeOld(std::chrono::minutes(61));
  Launch({"--set", "signatures.max_age=1h", "--set", "signatures.too_old=fail"});
  EXPECT_TRUE(Eventually([&] { return server().ZygotePid() && Metric("clamav_up") == 1; }));
  const auto refusal = Get(port(), "/readyz");
  ASSERT_THAT(refusal, IsProblem(503, "signatures-too-old"));
  EXPECT_TRUE(refusal->Find("Retry-After"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected")) << "who asks gets an answer";

  Start({"--set", "signatures.max_age=1h", "--set", "signatures.too_old=ignore"});
  EXPECT_EQ(Get(port(), "/readyz")->body, kReady);
  EXPECT_EQ(Metric("lazaret_signature_set_too_old"), 0);
}

TEST_F(SignaturesAge, OfACopyIsThatOfTheFile) {
  // With drain the server keeps copies.
  MakeOld(std::chrono::minutes(61));
  Start({"--set", "signatures.reload=drain", "--set", "signatures.max_age=1h"});
  EXPECT_THAT(TextOf(ParseJson(*Get(port(), "/readyz")), "warning"), HasSubstr("signatures.max_age"));
}

TEST_F(SignaturesCommand, TheReloadOfClamdClientsReadsTheDirectory) {
  const fs::path door = root_ / "door.sock";
  StartServer({"--clamd-listen", "unix:" + door.native()});
  Put("needle.ndb", Finds("a needle in a haystack"));
  EXPECT_EQ(tests::Ask(door, "nRELOAD\n"), "RELOADING\n");
  EXPECT_TRUE(MetricBecomes("lazaret_signature_changes_total{event=\"loaded\"}", 2));
  EXPECT_THAT(Post(port(), "/v1/scan", "a needle in a haystack"), HasVerdict("infected"));
}

TEST_F(SignaturesCommand, ChecksADirectoryWithoutAServer) {
  const std::string good = (root_ / "signatures").native();
  const Outcome usable = Signatures({"check", good});
  EXPECT_EQ(usable.status, 0) << usable.err << usable.out;
  EXPECT_THAT(usable.out, AllOf(HasSubstr("verdict       can be used\n"), HasSubstr("EICAR         found\n")));
  const Outcome json = Signatures({"check", good, "--json"});
  EXPECT_EQ(boost::json::parse(json.out).at("usable"), true) << json.err;

  Put("bad.ndb", "this is no signature\n");
  const Outcome refused = Signatures({"check", good});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.out, AllOf(HasSubstr("verdict       refused: does-not-load: "), Not(HasSubstr("EICAR"))));
  const auto why = boost::json::parse(Signatures({"check", good, "--json"}).out);
  EXPECT_EQ(why.at("usable"), false);
  EXPECT_EQ(why.at("refused").at("kind"), "does-not-load");

  const Outcome empty = Signatures({"check", root_.MakeDirectory("empty")});
  EXPECT_EQ(empty.status, 1);
  EXPECT_THAT(empty.out, HasSubstr("refused: empty: "));
  EXPECT_EQ(Signatures({"check", (root_ / "missing").native()}).status, 1);
  EXPECT_EQ(Signatures({"check"}).status, 2);
  EXPECT_EQ(Signatures({"status"}).status, 1) << "no server runs";
}

TEST_F(SignaturesCommand, SaysThatClamdServersLookAfterTheirOwn) {
  root_.Write("clamd.toml", "[engine]\nkind = \"clamd\"\nclamd = [\"unix:/nonexistent/clamd.sock\"]\n");
  const std::string config = (root_ / "clamd.toml").native();
  Launch({"--config", config});
  const Outcome status = Signatures({"status"});
  EXPECT_EQ(status.status, 1);
  EXPECT_THAT(status.err, HasSubstr("engine.kind is clamd"));
  EXPECT_EQ(Signatures({"reload"}).status, 1);
  const Outcome check = Signatures({"check", (root_ / "signatures").native(), "--config", config});
  EXPECT_EQ(check.status, 1);
  EXPECT_THAT(check.err, HasSubstr("engine.kind is clamd"));
}

}  // namespace
}  // namespace lazaret::tests
