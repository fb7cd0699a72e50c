// Who shares a scan, who may scan at all, and what happens when there is too much.
#include <thread>

#include <fmt/format.h>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

constexpr const char* kCancelled = "lazaret_scanners_ended_total{cause=\"cancelled\"}";
constexpr const char* kScans = "lazaret_scan_duration_seconds_count";
constexpr const char* kGaveWay = "lazaret_scans_given_way_total";
constexpr const char* kCoalesced = "lazaret_coalesced_requests_total";

class RestLoad : public ServerTest {
 protected:
  // A connection on which `content` has been sent and the answer is awaited.
  HttpConnection Send(const std::string& content) const {
    HttpConnection connection(port());
    EXPECT_TRUE(connection.Send(MakeRequest("POST", "/v1/scan", {}, content)));
    return connection;
  }
  // One scanner for small contents, however long each of them takes.
  void StartWithOneScanner(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"--scanners", "1", "--set", "queue.short_time=1h"});
    StartWithHooks(std::move(arguments));
  }
  // Keeps that busy until the connection is reset.
  HttpConnection Block() const {
    HttpConnection connection = Send(Hook("hang"));
    EXPECT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
    return connection;
  }
};

TEST_F(RestLoad, ScansWhatManySendAtOnceOnlyOnce) {
  StartWithOneScanner();
  HttpConnection blocker = Block();
  std::vector<HttpConnection> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(Send(EicarWithPrefix(1)));
  // All wait for the same scan, which has not even begun.
  ASSERT_TRUE(MetricBecomes(kCoalesced, 19));
  blocker.Reset();
  for (HttpConnection& client : clients) EXPECT_THAT(client.Receive(), HasVerdict("infected"));
  EXPECT_EQ(Metric(kScans), 1);
}

TEST_F(RestLoad, SmallContentsThatTakeLongDoNotHoldUpOthers) {
  StartWithHooks({"--scanners", "1", "--set", "engine.deadline=1h"});
  HttpConnection first = Send(Hook("hang", 1));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
  EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(1)), HasVerdict("infected")) << "by the express slot";
  HttpConnection second = Send(Hook("hang", 2));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 2));
  EXPECT_EQ(Metric(kGaveWay), 0);
  EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(2)), HasVerdict("infected"));
  EXPECT_EQ(Metric(kGaveWay), 1);
  EXPECT_EQ(StatusOf(Hook("hang", 1)), "scanning");
  EXPECT_EQ(StatusOf(Hook("hang", 2)), "queued") << "it is to be scanned again";
  first.Reset();
  EXPECT_TRUE(StatusBecomes(Hook("hang", 2), "scanning"));
  EXPECT_EQ(Metric("lazaret_scanners_ended_total{cause=\"crashed\"}"), 0);
}

TEST_F(RestLoad, EndsAScanThatNobodyWaitsForAnyMore) {
  StartWithOneScanner();
  for (const bool reset : {false, true}) {
    HttpConnection client = Block();
    const double before = Metric(kCancelled);
    if (reset) {
      client.Reset();
    } else {
      client.CloseSending();
      EXPECT_TRUE(client.IsClosedByServer());
    }
    EXPECT_TRUE(MetricBecomes(kCancelled, before + 1));
    EXPECT_EQ(StatusOf(Hook("hang")), "") << "a scan that was broken off has no verdict";
    EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(reset)), HasVerdict("infected"));
  }
  EXPECT_EQ(Metric("lazaret_scanners_ended_total{cause=\"crashed\"}"), 0);
}

TEST_F(RestLoad, NoticesThatAClientLeavesBehindAPipelinedRequest) {
  StartWithOneScanner();
  HttpConnection client(port());
  ASSERT_TRUE(client.Send(MakeRequest("POST", "/v1/scan", {}, Hook("hang"))));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
  // Not before: what comes along with the first request is read with it and hides nothing.
  ASSERT_TRUE(client.Send(MakeRequest("GET", "/healthz")));
  client.CloseSending();
  EXPECT_TRUE(MetricBecomes(kCancelled, 1));
}

TEST_F(RestLoad, ScansOnForTheOthersWhenOneLeaves) {
  StartWithOneScanner();
  HttpConnection blocker = Block();
  HttpConnection first = Send(EicarWithPrefix(1));
  ASSERT_TRUE(StatusBecomes(EicarWithPrefix(1), "queued"));
  HttpConnection second = Send(EicarWithPrefix(1));
  ASSERT_TRUE(MetricBecomes(kCoalesced, 1));
  first.Reset();
  ASSERT_TRUE(MetricBecomes("lazaret_http_requests_total{route=\"/v1/scan\",status=\"499\"}", 1));
  EXPECT_EQ(StatusOf(EicarWithPrefix(1)), "queued");
  blocker.Reset();
  EXPECT_THAT(second.Receive(), HasVerdict("infected"));
  EXPECT_EQ(Metric(kScans), 1);
  EXPECT_TRUE(MetricBecomes(kCancelled, 1)) << "only the blocker's";
}

TEST_F(RestLoad, ForgetsAFormWhoseClientLeaves) {
  StartWithOneScanner();
  HttpConnection client(port());
  ASSERT_TRUE(client.Send(MakeRequest("POST", "/v1/scan", MultipartHeaders(),
                                      MakeMultipart({{"a", "a", Hook("hang", 1)}, {"b", "b", Hook("hang", 2)}}))));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
  ASSERT_TRUE(StatusBecomes(Hook("hang", 2), "queued"));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
  client.Reset();
  // The second may have got the scanner that the first had to leave, and lost it, too.
  EXPECT_TRUE(Eventually([&] { return Metric(kCancelled) >= 1; }));
  EXPECT_TRUE(StatusBecomes(Hook("hang", 2), ""));
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
}

TEST_F(RestLoad, RefusesWhatWouldWaitBehindTooMany) {
  StartWithOneScanner({"--set", "queue.max_waiting=2", "--set", "http.body_timeout=1h"});
  ASSERT_THAT(Post(port(), "/v1/scan", "known"), HasVerdict("clean"));
  HttpConnection blocker = Block();
  HttpConnection first = Send(EicarWithPrefix(1));
  ASSERT_TRUE(StatusBecomes(EicarWithPrefix(1), "queued"));
  HttpConnection second = Send(EicarWithPrefix(2));
  ASSERT_TRUE(StatusBecomes(EicarWithPrefix(2), "queued"));
  ASSERT_TRUE(MetricBecomes("lazaret_queue_length", 2)) << "a scan is known a moment before it stands in the queue";

  // Before the body: it is never asked for, and never sent.
  for (const bool asks : {false, true}) {
    Headers headers = {{"Content-Length", "1000"}};
    if (asks) headers.emplace_back("Expect", "100-continue");
    HttpConnection third(port());
    ASSERT_TRUE(third.Send(MakeRequest("POST", "/v1/scan", headers)));
    const auto refused = third.Receive();
    ASSERT_THAT(refused, IsProblem(503, "overloaded"));
    EXPECT_GE(std::stoi(refused->Find("Retry-After").value_or("0")), 1);
  }
  EXPECT_THAT(Post(port(), "/v1/scan", MakeMultipart({{"a", "a", "x"}}), MultipartHeaders()), HasStatus(503));
  EXPECT_THAT(Get(port(), "/readyz"), IsProblem(503, "overloaded"));
  EXPECT_EQ(Metric("lazaret_queue_length"), 2);
  EXPECT_EQ(Metric("lazaret_refused_requests_total{why=\"overloaded\"}"), 3);
  // What is known costs no scan.
  EXPECT_THAT(Post(port(), "/v1/scan", "known"), HasVerdict("clean"));
  EXPECT_THAT(Post(port(), "/v1/scan", "known", {{"Repr-Digest", ReprDigestOf("known")}}), HasVerdict("clean"));
  EXPECT_THAT(Get(port(), "/healthz"), HasStatus(200));

  blocker.Reset();
  EXPECT_THAT(first.Receive(), HasVerdict("infected"));
  EXPECT_THAT(second.Receive(), HasVerdict("infected"));
  EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(3)), HasVerdict("infected"));
}

TEST_F(RestLoad, GivesUpOnAScanThatWaitsTooLong) {
  StartWithOneScanner({"--set", "queue.max_wait=200ms"});
  HttpConnection blocker = Block();
  const auto refused = Post(port(), "/v1/scan", EicarWithPrefix(1));
  ASSERT_THAT(refused, IsProblem(503, "overloaded"));
  EXPECT_TRUE(refused->Find("Retry-After"));
  EXPECT_EQ(StatusOf(EicarWithPrefix(1)), "");
}

TEST_F(RestLoad, GivesUpOnARequestThatTakesTooLong) {
  StartWithOneScanner({"--set", "http.request_timeout=200ms"});
  const auto late = Post(port(), "/v1/scan", Hook("hang"));
  ASSERT_THAT(late, IsProblem(504, "deadline-passed"));
  EXPECT_TRUE(late->Find("Retry-After"));
  EXPECT_TRUE(MetricBecomes(kCancelled, 1)) << "nobody waits for it any more";
}

TEST_F(RestLoad, LimitsConnections) {
  Start({"--set", "http.max_connections=5"});
  // The connections of the check for readiness may still be closing.
  std::vector<HttpConnection> held;
  ASSERT_TRUE(Eventually([&] {
    held.clear();
    for (int i = 0; i < 5; ++i) {
      held.emplace_back(port());
      (void)held.back().Send(MakeRequest("GET", "/healthz"));
      if (const auto answer = held.back().Receive(); !answer || answer->status != 200) return false;
    }
    return true;
  }));
  HttpConnection sixth(port());
  const auto refused = sixth.Receive();
  ASSERT_THAT(refused, HasStatus(503));
  EXPECT_TRUE(refused->Find("Retry-After"));
  EXPECT_TRUE(sixth.IsClosedByServer());
  for (HttpConnection& connection : held) {
    ASSERT_TRUE(connection.Send(MakeRequest("GET", "/healthz")));
    EXPECT_THAT(connection.Receive(), HasStatus(200));
  }
  held.pop_back();
  EXPECT_TRUE(Eventually([&] {
    const auto answer = Get(port(), "/healthz");
    return answer && answer->status == 200;
  }));
}

TEST_F(RestLoad, LimitsTheMemoryForContents) {
  Start({"--set", "content.memory_budget=1MiB", "--set", "content.disk_budget=1MiB", "--max-size", "1MiB", "--set",
         "http.body_timeout=1h"});
  // Takes all but 128 KiB of the memory, and never ends.
  const std::string most = PlainText(896 * 1024);
  HttpConnection large(port());
  ASSERT_TRUE(
      large.Send(MakeRequest("POST", "/v1/scan", {{"Content-Length", std::to_string(most.size() + 1)}}) + most));
  ASSERT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", static_cast<double>(most.size())));
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(127 * 1024)), HasVerdict("clean"));
  // Then the disk is used, until that is full, too.
  HttpConnection spilled(port());
  ASSERT_TRUE(
      spilled.Send(MakeRequest("POST", "/v1/scan", {{"Content-Length", std::to_string(most.size() + 1)}}) + most));
  ASSERT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", static_cast<double>(most.size())));
  for (const bool asks : {false, true}) {
    Headers headers = {{"Content-Length", std::to_string(129 * 1024)}};
    if (asks) headers.emplace_back("Expect", "100-continue");
    HttpConnection refused(port());
    ASSERT_TRUE(refused.Send(MakeRequest("POST", "/v1/scan", headers)));
    const auto answer = refused.Receive();
    ASSERT_THAT(answer, IsProblem(503, "overloaded"));
    EXPECT_TRUE(answer->Find("Retry-After"));
  }
  // When its length is not known it is refused on the way.
  HttpConnection chunked(port());
  (void)chunked.Send(MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}}) +
                     Chunked(PlainText(129 * 1024), 10'000));
  EXPECT_THAT(chunked.Receive(), IsProblem(503, "overloaded"));
  for (HttpConnection* waiting : {&large, &spilled}) {
    ASSERT_TRUE(waiting->Send("x"));
    EXPECT_THAT(waiting->Receive(), HasVerdict("clean"));
  }
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", 0));
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(129 * 1024)), HasVerdict("clean"));
}

TEST_F(RestLoad, LimitsTheDiskForContents) {
  Start({"--set", "content.disk_budget=2MiB", "--max-size", "1MiB", "--set", "content.memory_file_size=1KiB"});
  HttpConnection large(port());
  ASSERT_TRUE(large.Send(MakeRequest("POST", "/v1/scan", {{"Content-Length", "2000"}}) + PlainText(1999)));
  ASSERT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", 1 << 20));
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(3000)), HasVerdict("clean"));
  // Its share is given back when its file is closed, which happens after the answer.
  ASSERT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", 1 << 20));
  HttpConnection another(port());
  ASSERT_TRUE(another.Send(MakeRequest("POST", "/v1/scan", {{"Content-Length", "2000"}}) + PlainText(1999)));
  ASSERT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", 2 << 20));
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(3001)), IsProblem(503, "overloaded"));
  another.Reset();
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", 1 << 20));
  ASSERT_TRUE(large.Send("x"));
  EXPECT_THAT(large.Receive(), HasStatus(200));
}

}  // namespace
}  // namespace lazaret::tests
