// GET /v1/scans/{id} and look-ups through the life of a job, at once and held.
#include <boost/json/value.hpp>

#include <regex>

#include <fmt/format.h>

#include "integration/async_fixture.h"

namespace lazaret::tests {
namespace {

using testing::UnorderedElementsAre;

constexpr const char* kLongPolls = "lazaret_long_polls";

class AsyncPoll : public AsyncTest {
 protected:
  static std::string PollRequest(std::string_view content, std::string_view query) {
    return MakeRequest("GET", fmt::format("/v1/scans/{}{}", IdOf(content), query));
  }
};

// A poll that should be answered before its time gets one that the client does not wait for.
const std::vector<std::string> kHoldsForAnHour = {"--set", "http.max_wait=1h"};
constexpr std::string_view kHour = "?wait=3600";

TEST_F(AsyncPoll, FollowsAScanThroughItsLife) {
  LaunchWithoutEngine(WithHooks({"--scanners", "1"}));
  // Long enough to be seen while it is scanned, also where everything is slow.
  const std::string slow = Hook("slow 4000");
  ASSERT_THAT(Submit(port(), slow), IsQueued(IdOf(slow)));
  const auto queued = Poll(port(), IdOf(slow), 0);
  ASSERT_THAT(queued, IsInState("queued"));
  EXPECT_THAT(KeysOf(ParseJson(*queued)), UnorderedElementsAre("id", "status", "size", "submitted_at"));
  EXPECT_TRUE(std::regex_match(TextOf(ParseJson(*queued), "submitted_at"),
                               std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_TRUE(queued->Find("Retry-After"));

  GiveSignatures();
  ASSERT_TRUE(StatusBecomes(slow, "scanning"));
  const auto scanning = Poll(port(), IdOf(slow), 0);
  ASSERT_THAT(scanning, IsInState("scanning"));
  EXPECT_EQ(TextOf(ParseJson(*scanning), "submitted_at"), TextOf(ParseJson(*queued), "submitted_at"));
  EXPECT_EQ(ParseJson(*scanning).at("size").as_int64(), static_cast<std::int64_t>(slow.size()));

  ASSERT_TRUE(StatusBecomes(slow, "done"));
  const auto done = Poll(port(), IdOf(slow), 0);
  ASSERT_THAT(done, HasVerdict("clean"));
  EXPECT_THAT(KeysOf(ParseJson(*done)), UnorderedElementsAre("id", "status", "verdict", "signatures", "size", "cached",
                                                             "fresh", "scanned_at", "scan_ms", "engine"));
  EXPECT_FALSE(done->Find("Retry-After"));
}

TEST_F(AsyncPoll, IsAnsweredWhenTheVerdictIsThere) {
  LaunchWithoutEngine(kHoldsForAnHour);
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  HttpConnection first(port());
  HttpConnection second(port());
  ASSERT_TRUE(first.Send(PollRequest(Eicar(), kHour)));
  // The next request waits behind the poll, and does not end it.
  ASSERT_TRUE(second.Send(PollRequest(Eicar(), kHour) + MakeRequest("GET", "/healthz")));
  ASSERT_TRUE(MetricBecomes(kLongPolls, 2));
  EXPECT_EQ(JobsInfo("long_polls"), 2);
  EXPECT_FALSE(first.HasInput(milliseconds(100)));
  EXPECT_FALSE(second.HasInput(milliseconds(0)));
  GiveSignatures();
  EXPECT_THAT(first.Receive(), HasVerdict("infected"));
  EXPECT_THAT(second.Receive(), HasVerdict("infected"));
  EXPECT_THAT(second.Receive(), HasStatus(200));
  EXPECT_TRUE(MetricBecomes(kLongPolls, 0));
}

TEST_F(AsyncPoll, IsAnsweredWhenAScanWithoutAJobIsDone) {
  Start(kHoldsForAnHour);
  ASSERT_TRUE(server().HaltScanners());
  HttpConnection scan(port());
  ASSERT_TRUE(scan.Send(MakeRequest("POST", "/v1/scan", {}, Eicar())));
  ASSERT_TRUE(StatusBecomes(Eicar(), "scanning"));
  HttpConnection poll(port());
  ASSERT_TRUE(poll.Send(PollRequest(Eicar(), kHour)));
  ASSERT_TRUE(MetricBecomes(kLongPolls, 1));
  server().LetScannersGoOn();
  EXPECT_THAT(poll.Receive(), HasVerdict("infected"));
  EXPECT_THAT(scan.Receive(), HasVerdict("infected"));
}

TEST_F(AsyncPoll, IsAnsweredAtOnceWhenThereIsNothingToWaitFor) {
  Start(kHoldsForAnHour);
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  for (const std::string_view query :
       {kHour, std::string_view("?wait=0.001"), std::string_view("?wait=0"), std::string_view("")}) {
    HttpConnection connection(port());
    ASSERT_TRUE(connection.Send(PollRequest(Eicar(), query) + PollRequest("unknown", query)));
    EXPECT_THAT(connection.Receive(), HasVerdict("infected")) << query;
    EXPECT_THAT(connection.Receive(), IsProblem(404, "unknown-scan")) << query;
  }
}

TEST_F(AsyncPoll, EndsAtItsTime) {
  LaunchWithoutEngine({"--set", "http.max_wait=400ms"});
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  // Beyond what it may be held, it is held for that long.
  for (const auto& [wait, least] : std::vector<std::pair<std::string, milliseconds>>{{"0", milliseconds(0)},
                                                                                     {"0.0005", milliseconds(0)},
                                                                                     {"0.3", milliseconds(300)},
                                                                                     {"0.4", milliseconds(400)},
                                                                                     {"0.401", milliseconds(400)},
                                                                                     {"3600", milliseconds(400)}}) {
    const auto begin = std::chrono::steady_clock::now();
    HttpConnection connection(port());
    ASSERT_TRUE(connection.Send(PollRequest(Eicar(), "?wait=" + wait)));
    const auto answer = connection.Receive();
    EXPECT_THAT(answer, IsInState("queued")) << wait;
    EXPECT_TRUE(answer && answer->Find("Retry-After"));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, least) << wait;
  }
  EXPECT_TRUE(MetricBecomes(kLongPolls, 0));
}

TEST_F(AsyncPoll, IsNotHeldWhenThatIsSwitchedOff) {
  LaunchWithoutEngine({"--set", "http.max_wait=0ms"});
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(PollRequest(Eicar(), kHour)));
  EXPECT_THAT(connection.Receive(), IsInState("queued"));
}

TEST_F(AsyncPoll, EndsWhenTheServerDoes) {
  LaunchWithoutEngine({"--set", "http.max_wait=1h", "--set", "drain_timeout=1h"});
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(PollRequest(Eicar(), kHour)));
  ASSERT_TRUE(MetricBecomes(kLongPolls, 1));
  server().Signal(SIGTERM);
  const auto answer = connection.Receive();
  ASSERT_THAT(answer, IsInState("queued"));
  EXPECT_EQ(answer->Find("Connection"), "close");
  EXPECT_EQ(server().WaitForEnd(), 0);
}

TEST_F(AsyncPoll, EndsWhenItsClientLeaves) {
  LaunchWithoutEngine(kHoldsForAnHour);
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  for (const bool resets : {true, false}) {
    HttpConnection connection(port());
    ASSERT_TRUE(connection.Send(PollRequest(Eicar(), kHour)));
    ASSERT_TRUE(MetricBecomes(kLongPolls, 1));
    if (resets) {
      connection.Reset();
    } else {
      connection.CloseSending();
    }
    EXPECT_TRUE(MetricBecomes(kLongPolls, 0)) << resets;
  }
  EXPECT_THAT(Poll(port(), IdOf(Eicar()), 0), IsInState("queued")) << "the job stays";
}

TEST_F(AsyncPoll, RefusesAWaitThatIsNone) {
  LaunchWithoutEngine();
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  for (const std::string_view query :
       {"?wait=", "?wait=x", "?wait=-1", "?wait=-0", "?wait=1e3", "?wait=nan", "?wait=inf", "?wait=+1", "?wait=%201",
        "?wait=1s", "?wait=0x1", "?wait=1,5", "?wait=1&wait=1", "?Wait=1", "?wait", "?name=x", "?wait=0&x=1"}) {
    EXPECT_THAT(Get(port(), fmt::format("/v1/scans/{}{}", IdOf(Eicar()), query)), IsProblem(400, "malformed")) << query;
  }
  EXPECT_THAT(Get(port(), "/v1/scans/abc?wait=1"), IsProblem(400, "bad-id"));
  EXPECT_EQ(Metric(kLongPolls), 0);
}

TEST_F(AsyncPoll, OutlivesAFailureThatIsTriedAgain) {
  StartWithHooks({"--scanners", "1", "--set", "http.max_wait=1h", "--set", "engine.deadline=300ms", "--set",
                  "jobs.attempts=2", "--set", "jobs.retry_pause=100ms"});
  ASSERT_THAT(Submit(port(), Hook("hang")), HasStatus(202));
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(PollRequest(Hook("hang"), kHour)));
  const auto answer = connection.Receive();
  ASSERT_THAT(answer, IsUnscannable("timeout"));
  EXPECT_TRUE(ParseJson(*answer).contains("dead_letter")) << "not the first attempt's";
  EXPECT_EQ(Metric("lazaret_jobs_total{event=\"retried\"}"), 1);
}

TEST_F(AsyncPoll, LooksUpManyAtOnce) {
  LaunchWithoutEngine();
  ASSERT_THAT(Submit(port(), Eicar()), HasStatus(202));
  const std::string body =
      fmt::format(R"({{"ids":["{}","{}","{}"]}})", IdOf(Eicar()), IdOf("harmless"), IdOf("unknown"));
  const auto statuses = [&] {
    std::vector<std::string> all;
    for (const auto& scan : ScansOf(Post(port(), "/v1/scans/lookup", body))) {
      all.push_back(TextOf(scan, "status") + " " + TextOf(scan, "verdict"));
    }
    return all;
  };
  EXPECT_THAT(statuses(), testing::ElementsAre("queued ", "unknown ", "unknown "));
  ASSERT_THAT(Submit(port(), "harmless"), HasStatus(202));
  GiveSignatures();
  ASSERT_EQ(VerdictOf(Eicar()), "infected");
  ASSERT_EQ(VerdictOf("harmless"), "clean");
  EXPECT_THAT(statuses(), testing::ElementsAre("done infected", "done clean", "unknown "));
}

}  // namespace
}  // namespace lazaret::tests
