// The real freshclam, which fetches signatures from a web server of the test, beside a server that uses them.
#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "integration/callback_receiver.h"
#include "integration/clamd_door_fixture.h"
#include "integration/signature_nodes.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kFreshclam = "/usr/bin/freshclam";

class Freshclam : public SignatureNodesTest {
 protected:
  Freshclam() {
    Publish(Finds("Test.One", "needle one"));
    fs::permissions(root_ / "signatures", fs::perms(0755));
  }

  void Publish(std::string database) { mirror_.AnswerWith(200, "", std::move(database)); }
  // One run of it, as a timer would start it; `more` are lines of freshclam.conf.
  Outcome Update(const std::string& more = "") const {
    const passwd* const user = ::getpwuid(::geteuid());
    // It wants the name of a mirror, which is never asked: only the custom database is to be updated.
    root_.Write("freshclam.conf",
                fmt::format("DatabaseDirectory {0}\nDatabaseMirror http://127.0.0.1:1\nDatabaseCustomURL {1}\n"
                            "DatabaseOwner {2}\nDNSDatabaseInfo no\nConnectTimeout 10\nMaxAttempts 1\n{3}",
                            (root_ / "signatures").native(), mirror_.Url("127.0.0.1", "/fetched.ndb"),
                            user != nullptr ? user->pw_name : "root", more));
    return RunLazaret({"--config-file=" + (root_ / "freshclam.conf").native(), "--update-db=custom"}, kFreshclam);
  }

  CallbackReceiver mirror_;
};

TEST_F(Freshclam, BringsWhatIsInUseSecondsLaterWithoutBeingTold) {
  ASSERT_TRUE(fs::exists(kFreshclam)) << "Debian has it in clamav-freshclam";
  SignatureNode& node = Add("own", {});
  ASSERT_TRUE(node.IsReady());
  EXPECT_EQ(node.Says("a needle one here"), "clean");
  const Outcome first = Update();
  ASSERT_EQ(first.status, 0) << first.out << first.err;
  EXPECT_TRUE(Eventually([&] { return node.Says("a needle one here") == "infected"; }));

  Publish(Finds("Test.Two", "needle two"));
  const Outcome second = Update();
  ASSERT_EQ(second.status, 0) << second.out << second.err;
  EXPECT_TRUE(Eventually([&] { return node.Says("a needle two here") == "infected"; }));
  EXPECT_EQ(node.Says("a needle one here"), "clean");
  EXPECT_EQ(TextOf(node.Part("previous"), "digest").size(), 64u) << "there is a way back";
  EXPECT_EQ(node.Command({"signatures", "rollback"}).status, 0);
  EXPECT_EQ(node.Says("a needle one here"), "infected");
}

TEST_F(Freshclam, LeavesOutWhatItCannotLoadItself) {
  SignatureNode& node = Add("own", {});
  ASSERT_TRUE(node.IsReady());
  ASSERT_EQ(Update().status, 0);
  ASSERT_TRUE(Eventually([&] { return node.Says("a needle one here") == "infected"; }));
  const std::string before = node.SetInUse();
  Publish("this is no signature\n");
  const Outcome bad = Update();
  EXPECT_NE(bad.status, 0);
  EXPECT_THAT(bad.out + bad.err, HasSubstr("Database test FAILED"));
  EXPECT_EQ(node.Command({"signatures", "reload"}).status, 0);
  EXPECT_EQ(node.SetInUse(), before) << "nothing has come into the directory";

  // With its own test switched off, ours is what keeps it out.
  ASSERT_EQ(Update("TestDatabases no\n").status, 0);
  EXPECT_TRUE(Eventually([&] { return TextOf(node.Part("refused"), "kind") == "does-not-load"; }));
  EXPECT_EQ(node.SetInUse(), before);
  EXPECT_EQ(node.Says("another needle one here"), "infected");
}

TEST_F(Freshclam, MayTellTheServerOverTheDoorForClamdClients) {
  // One that looks at its directory only when it is told to.
  SignatureNode& node =
      Add("own", {"--set", "signatures.settle=5m", "--clamd-listen", "unix:" + (root_ / "door").native()});
  ASSERT_TRUE(node.IsReady());
  root_.Write("clamd.conf", fmt::format("LocalSocket {}\n", (root_ / "door").native()));
  const Outcome told = Update(fmt::format("NotifyClamd {}\n", (root_ / "clamd.conf").native()));
  ASSERT_EQ(told.status, 0) << told.out << told.err;
  EXPECT_THAT(told.out + told.err, HasSubstr("Clamd successfully notified about the update."));
  EXPECT_TRUE(Eventually([&] { return node.Says("a needle one here") == "infected"; }));
}

TEST_F(Freshclam, ThatCannotReachItsMirrorChangesNothing) {
  SignatureNode& node = Add("own", {});
  ASSERT_TRUE(node.IsReady());
  ASSERT_EQ(Update().status, 0);
  ASSERT_TRUE(Eventually([&] { return node.Says("a needle one here") == "infected"; }));
  const std::string before = node.SetInUse();
  mirror_.AnswerWith(503);
  EXPECT_NE(Update().status, 0);
  EXPECT_EQ(node.Command({"signatures", "reload"}).status, 0);
  EXPECT_EQ(node.SetInUse(), before);
}

}  // namespace
}  // namespace lazaret::tests
