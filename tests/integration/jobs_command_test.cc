// `lazaret jobs` against a running server and its queue.
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "integration/run_lazaret.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class JobsOfAServer : public ServerTest {
 protected:
  Outcome Jobs(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "jobs");
    arguments.insert(arguments.end(), {"--data", (root_ / "data").native()});
    return RunLazaret(std::move(arguments));
  }
  std::string StateOf(const std::string& content) const {
    const Outcome shown = Jobs({"show", IdOf(content), "--json"});
    return shown.status == 0 ? TextOf(boost::json::parse(shown.out).as_object(), "state") : "";
  }
  bool StateBecomes(const std::string& content, std::string_view state) const {
    return Eventually([&] { return StateOf(content) == state; });
  }
};

TEST_F(JobsOfAServer, AreListedRetriedAndDropped) {
  StartWithHooks({"--scanners", "1"});
  const std::string deadly = Hook("crash");
  ASSERT_THAT(Post(port(), "/v1/scans", "harmless"), HasStatus(202));
  ASSERT_THAT(Post(port(), "/v1/scans", deadly), HasStatus(202));
  ASSERT_TRUE(StateBecomes("harmless", "done"));
  ASSERT_TRUE(StateBecomes(deadly, "dead"));

  const Outcome dead = Jobs({"list", "--state", "dead"});
  EXPECT_EQ(dead.status, 0) << dead.err;
  EXPECT_THAT(dead.out, HasSubstr("\n" + IdOf(deadly) + "  dead "));
  EXPECT_THAT(dead.out, HasSubstr("unscannable: engine-crashed\n"));
  EXPECT_THAT(dead.out, HasSubstr("1 of 2 jobs shown (0 queued, 0 scanning, 1 done, 1 dead)\n"));
  EXPECT_THAT(Jobs({"show", IdOf(deadly).substr(0, 8)}).out, HasSubstr("content     kept\n"));

  const Outcome finished = Jobs({"retry", IdOf("harmless")});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, StartsWith("lazaret: " + IdOf("harmless") + ": "));
  EXPECT_EQ(Jobs({"retry", IdOf(deadly)}).out, IdOf(deadly) + "  queued again\n");
  EXPECT_TRUE(StateBecomes(deadly, "dead"));

  EXPECT_EQ(Jobs({"drop", IdOf(deadly), IdOf("harmless")}).status, 0);
  EXPECT_EQ(Jobs({"show", IdOf(deadly)}).status, 3);
  EXPECT_THAT(Jobs({"list"}).out, HasSubstr("0 of 0 jobs shown"));
  EXPECT_EQ(server().Terminate(), 0);
  EXPECT_THAT(Jobs({"list"}).err, HasSubstr("no server is running"));
}

TEST_F(JobsOfAServer, AreDroppedWhileTheyAreScanned) {
  // The worker learns it when it renews its lease, not before: neither another scan nor the end is to wait for that.
  StartWithHooks({"--scanners", "2", "--set", "drain_timeout=200ms"});
  const std::string slow = Hook("hang");
  ASSERT_THAT(Post(port(), "/v1/scans", slow), HasStatus(202));
  ASSERT_TRUE(StateBecomes(slow, "scanning"));
  EXPECT_EQ(Jobs({"drop", IdOf(slow)}).status, 0);
  EXPECT_EQ(Jobs({"show", IdOf(slow)}).status, 3);
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected")) << "the server goes on";
}

TEST_F(JobsOfAServer, CanBeSeenAgainAfterACrash) {
  StartWithHooks({"--scanners", "1"});
  ASSERT_THAT(Post(port(), "/v1/scans", "harmless"), HasStatus(202));
  ASSERT_TRUE(StateBecomes("harmless", "done"));
  server().Kill();
  EXPECT_EQ(Jobs({"list"}).status, 1) << "its socket is left, but nobody listens";
  Start();
  EXPECT_EQ(StateOf("harmless"), "done");
}

}  // namespace
}  // namespace lazaret::tests
