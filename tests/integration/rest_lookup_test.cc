// What can be asked without sending a file: scans by their id, the state of the server, its metrics.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include "integration/server_fixture.h"
#include "metrics/exposition_checker.h"

namespace lazaret::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class RestLookup : public ServerTest {
 protected:
  Result<HttpResponse> GetScan(std::string_view content) const { return Get(port(), "/v1/scans/" + IdOf(content)); }
  Result<HttpResponse> Ask(std::string_view method, std::string_view target, const Headers& headers = {},
                           std::optional<std::string_view> body = {}) const {
    HttpConnection connection(port());
    (void)connection.Send(MakeRequest(method, target, headers, body));
    return connection.Receive();
  }
  static std::string Ids(const std::vector<std::string>& ids) {
    boost::json::array list;
    for (const std::string& id : ids) list.emplace_back(id);
    return R"({"ids":)" + boost::json::serialize(list) + "}";
  }
};

TEST_F(RestLookup, ShowsAScanByItsId) {
  Start();
  EXPECT_THAT(GetScan(Eicar()), IsProblem(404, "unknown-scan"));
  ASSERT_THAT(Post(port(), "/v1/scan?name=x", Eicar()), HasVerdict("infected"));
  const auto answer = GetScan(Eicar());
  ASSERT_THAT(answer, HasVerdict("infected"));
  const auto scan = ParseJson(*answer);
  EXPECT_EQ(TextOf(scan, "id"), IdOf(Eicar()));
  EXPECT_TRUE(scan.at("fresh").as_bool());
  // The name belongs to whoever sent it.
  EXPECT_FALSE(scan.contains("name"));

  for (const std::string& bad :
       {std::string("x"), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'), std::string(64, 'g')}) {
    EXPECT_THAT(Get(port(), "/v1/scans/" + bad), IsProblem(400, "bad-id")) << bad;
  }
}

TEST_F(RestLookup, SaysThatAScanIsWaitingOrUnderWay) {
  StartWithHooks({"--scanners", "1"});
  HttpConnection first(port());
  ASSERT_TRUE(first.Send(MakeRequest("POST", "/v1/scan", {}, Hook("hang", 1))));
  ASSERT_TRUE(StatusBecomes(Hook("hang", 1), "scanning"));
  HttpConnection second(port());
  ASSERT_TRUE(second.Send(MakeRequest("POST", "/v1/scan", {}, Hook("slow 100", 2))));
  ASSERT_TRUE(StatusBecomes(Hook("slow 100", 2), "queued"));
  for (const auto& content : {Hook("hang", 1), Hook("slow 100", 2)}) {
    const auto scan = ParseJson(*GetScan(content));
    EXPECT_THAT(KeysOf(scan), UnorderedElementsAre("id", "status"));
  }
  first.Reset();
  EXPECT_THAT(second.Receive(), HasVerdict("clean"));
  EXPECT_THAT(GetScan(Hook("slow 100", 2)), HasVerdict("clean"));
  EXPECT_THAT(GetScan(Hook("hang", 1)), HasStatus(404));
}

TEST_F(RestLookup, ShowsAVerdictOfOtherSignaturesAsStaleAndScansAgain) {
  Start();
  ASSERT_THAT(Post(port(), "/v1/scan", "once unknown"), HasVerdict("clean"));
  ASSERT_EQ(server().Terminate(), 0);
  // Now it is known: "once unknown" in hexadecimal.
  root_.Write("signatures/new.ndb", "Test.New:0:*:6f6e636520756e6b6e6f776e\n");
  Start();
  const auto stale = GetScan("once unknown");
  ASSERT_THAT(stale, HasVerdict("clean"));
  EXPECT_FALSE(ParseJson(*stale).at("fresh").as_bool());
  const auto digest = Headers{{"Repr-Digest", ReprDigestOf("once unknown")}};
  const auto again = Post(port(), "/v1/scan", "once unknown", digest);
  ASSERT_THAT(again, HasVerdict("infected"));
  EXPECT_FALSE(ParseJson(*again).at("cached").as_bool());
  EXPECT_TRUE(ParseJson(*GetScan("once unknown")).at("fresh").as_bool());
  EXPECT_THAT(GetScan("once unknown"), HasVerdict("infected"));
}

TEST_F(RestLookup, LooksManyUpAtOnce) {
  Start();
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  ASSERT_THAT(Post(port(), "/v1/scan", "harmless"), HasVerdict("clean"));
  const auto answer =
      Post(port(), "/v1/scans/lookup", Ids({IdOf("harmless"), IdOf("never seen"), IdOf(Eicar()), IdOf(Eicar())}));
  ASSERT_THAT(answer, HasStatus(200));
  const auto scans = ParseJson(*answer).at("scans").as_array();
  ASSERT_EQ(scans.size(), 4u);
  EXPECT_EQ(TextOf(scans[0].as_object(), "verdict"), "clean");
  EXPECT_EQ(TextOf(scans[1].as_object(), "status"), "unknown");
  EXPECT_EQ(TextOf(scans[1].as_object(), "id"), IdOf("never seen"));
  EXPECT_FALSE(scans[1].as_object().contains("verdict"));
  EXPECT_EQ(TextOf(scans[2].as_object(), "verdict"), "infected");
  EXPECT_EQ(scans[2], scans[3]);

  const auto none = Post(port(), "/v1/scans/lookup", Ids({}));
  ASSERT_THAT(none, HasStatus(200));
  EXPECT_THAT(ParseJson(*none).at("scans").as_array(), IsEmpty());
}

TEST_F(RestLookup, RefusesALookupThatIsNone) {
  Start({"--set", "http.max_lookup=30"});
  for (const std::string_view bad : {"", "{", "[]", "{}", R"({"ids":"x"})", R"({"ids":{}})", R"({"ids":[1]})",
                                     R"({"ids":["x"]})", R"({"ids":[null]})", "\xff", R"({"ids":[]} x)"}) {
    EXPECT_THAT(Post(port(), "/v1/scans/lookup", bad), IsProblem(400, "malformed")) << bad;
  }
  const auto named = Post(port(), "/v1/scans/lookup", Ids({IdOf("a"), std::string(64, 'A')}));
  ASSERT_THAT(named, IsProblem(400, "malformed"));
  EXPECT_THAT(TextOf(ParseJson(*named), "detail"), HasSubstr("ids[1]"));

  EXPECT_THAT(Post(port(), "/v1/scans/lookup", Ids(std::vector<std::string>(30, IdOf("a")))), HasStatus(200));
  EXPECT_THAT(Post(port(), "/v1/scans/lookup", Ids(std::vector<std::string>(31, IdOf("a")))),
              IsProblem(413, "too-large"));
  // Deep nesting, and more bytes than any list of so many ids has.
  EXPECT_THAT(Post(port(), "/v1/scans/lookup", std::string(3000, '[')), IsProblem(400, "malformed"));
  EXPECT_THAT(Post(port(), "/v1/scans/lookup", std::string(100'000, ' ')), IsProblem(413, "too-large"));
}

TEST_F(RestLookup, KnowsItsPathsAndMethods) {
  Start();
  for (const std::string_view path :
       {"/", "/v1", "/v1/scan/", "/v2/scan", "/v1/scans/", "/v1/scans/a/b", "/V1/info", "/metrics/", "*"}) {
    EXPECT_THAT(Ask(path == "*" ? "OPTIONS" : "GET", path), IsProblem(404, "unknown-path")) << path;
  }
  struct Case {
    std::string_view method, path, allow;
  };
  for (const Case& c :
       {Case{"GET", "/v1/scan", "POST"}, Case{"PUT", "/v1/scan", "POST"}, Case{"GET", "/v1/scans", "POST"},
        Case{"GET", "/v1/scans/lookup", "POST"}, Case{"POST", "/healthz", "GET, HEAD"},
        Case{"DELETE", "/metrics", "GET, HEAD"}, Case{"get", "/v1/info", "GET, HEAD"}}) {
    const auto answer = Ask(c.method, c.path);
    EXPECT_THAT(answer, IsProblem(405, "wrong-method")) << c.method << " " << c.path;
    if (answer) EXPECT_EQ(answer->Find("Allow"), c.allow);
  }
}

TEST_F(RestLookup, AnswersHeadLikeGetWithoutTheBody) {
  Start();
  ASSERT_THAT(Post(port(), "/v1/scan", "harmless"), HasVerdict("clean"));
  for (const std::string& path : {"/v1/scans/" + IdOf("harmless"), std::string("/healthz"), std::string("/readyz"),
                                  "/v1/scans/" + IdOf("never seen"), std::string("/nowhere")}) {
    const auto get = Get(port(), path);
    ASSERT_TRUE(get);
    HttpConnection connection(port());
    ASSERT_TRUE(connection.Send(MakeRequest("HEAD", path) + MakeRequest("GET", "/healthz")));
    const auto head = connection.Receive(true);
    ASSERT_THAT(head, HasStatus(get->status)) << path;
    EXPECT_EQ(head->Find("Content-Length"), get->Find("Content-Length")) << path;
    // What follows on the wire is the next answer, not a body.
    EXPECT_THAT(connection.Receive(), HasStatus(200)) << path;
  }
}

TEST_F(RestLookup, RefusesWhatItDoesNotTake) {
  Start();
  EXPECT_THAT(Ask("POST", "/v1/scan"), IsProblem(411, "length-required"));
  for (const std::string coding : {"gzip", "br", "identity, gzip"}) {
    EXPECT_THAT(Post(port(), "/v1/scan", "x", {{"Content-Encoding", coding}}), IsProblem(415, "content-encoding"));
  }
  // A second line of the field counts as much as the first.
  EXPECT_THAT(Post(port(), "/v1/scan", "x", {{"Content-Encoding", "identity"}, {"Content-Encoding", "gzip"}}),
              IsProblem(415, "content-encoding"));
  EXPECT_THAT(Post(port(), "/v1/scan", "x", {{"Content-Encoding", "Identity"}}), HasVerdict("clean"));
  EXPECT_THAT(Post(port(), "/v1/scan", "x", {{"Expect", "200-ok"}}), IsProblem(417, "expectation"));
}

TEST_F(RestLookup, SaysWhatItIsAndHowItIs) {
  Start({"--set", "queue.max_waiting=77", "--set", "http.max_parts=55", "--scanners", "2"});
  const auto answer = Get(port(), "/v1/info");
  ASSERT_THAT(answer, HasStatus(200));
  const auto info = ParseJson(*answer);
  EXPECT_EQ(TextOf(info, "name"), "lazaret");
  EXPECT_EQ(TextOf(info, "status"), "ready");
  EXPECT_EQ(TextOf(info.at("engine").as_object(), "name"), "ClamAV");
  EXPECT_EQ(info.at("signatures").as_int64(), 2);
  EXPECT_EQ(TextOf(info, "signature_set_digest").size(), 64u);
  EXPECT_EQ(info.at("queue").as_object().at("limit").as_int64(), 77);
  for (const char* length : {"length", "short_length", "long_length"}) {
    EXPECT_EQ(info.at("queue").as_object().at(length).as_int64(), 0);
  }
  EXPECT_EQ(info.at("limits").as_object().at("parts").as_int64(), 55);
  EXPECT_THAT(Get(port(), "/healthz"), HasStatus(200));
  EXPECT_THAT(Get(port(), "/readyz"), HasStatus(200));
}

TEST_F(RestLookup, CountsForPrometheus) {
  Start();
  const auto page = [&] {
    const auto answer = Get(port(), "/metrics");
    EXPECT_THAT(answer, HasStatus(200));
    EXPECT_EQ(answer->Find("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    auto exposition = metrics::ReadExposition(answer->body);
    EXPECT_THAT(exposition.problems, IsEmpty());
    return exposition.series;
  };
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  ASSERT_THAT(Post(port(), "/v1/scan", "harmless"), HasVerdict("clean"));
  ASSERT_THAT(Get(port(), "/nowhere"), HasStatus(404));
  auto now = page();
  EXPECT_EQ(now["lazaret_http_requests_total{route=\"/v1/scan\",status=\"200\"}"], 3);
  EXPECT_EQ(now["lazaret_http_requests_total{route=\"unknown\",status=\"404\"}"], 1);
  EXPECT_EQ(now["lazaret_verdicts_total{cached=\"false\",reason=\"\",verdict=\"infected\"}"], 1);
  EXPECT_EQ(now["lazaret_verdicts_total{cached=\"true\",reason=\"\",verdict=\"infected\"}"], 1);
  EXPECT_EQ(now["lazaret_verdicts_total{cached=\"false\",reason=\"\",verdict=\"clean\"}"], 1);
  EXPECT_EQ(now["lazaret_cache_lookups_total{result=\"hit\"}"], 1);
  EXPECT_EQ(now["lazaret_cache_lookups_total{result=\"miss\"}"], 2);
  EXPECT_EQ(now["lazaret_scan_duration_seconds_count"], 2);
  EXPECT_EQ(now["clamav_scan_duration_seconds_count"], 2);
  EXPECT_EQ(now["lazaret_spooled_bytes_total"], 68 + 68 + 8);
  EXPECT_EQ(now["clamav_up"], 1);
  EXPECT_EQ(now["lazaret_signatures"], 2);
  EXPECT_TRUE(MetricBecomes("lazaret_cache_entries", 2));
}

}  // namespace
}  // namespace lazaret::tests
