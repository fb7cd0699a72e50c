// POST /v1/scan: what it says about one file and about several.
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <regex>

#include <fmt/format.h>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class RestScan : public ServerTest {
 protected:
  // The entries of {"scans":[...]}.
  static std::vector<boost::json::object> Entries(const Result<HttpResponse>& answer) {
    std::vector<boost::json::object> entries;
    if (!answer) return entries;
    const auto object = ParseJson(*answer);
    const auto* const list = object.if_contains("scans");
    if (list == nullptr || !list->is_array()) return entries;
    for (const auto& entry : list->get_array()) entries.push_back(entry.as_object());
    return entries;
  }
  Result<HttpResponse> PostParts(const std::vector<Part>& parts, std::string_view target = "/v1/scan") const {
    return Post(port(), target, MakeMultipart(parts), MultipartHeaders());
  }
  bool IsUnknown(std::string_view content) const {
    const auto answer = Get(port(), "/v1/scans/" + IdOf(content));
    return answer && answer->status == 404;
  }
};

TEST_F(RestScan, SaysInfectedAndWhy) {
  Start();
  const auto answer = Post(port(), "/v1/scan", Eicar());
  ASSERT_THAT(answer, HasVerdict("infected"));
  const auto scan = ParseJson(*answer);
  EXPECT_THAT(KeysOf(scan), UnorderedElementsAre("id", "status", "verdict", "signatures", "size", "cached", "fresh",
                                                 "scanned_at", "scan_ms", "engine"));
  EXPECT_EQ(TextOf(scan, "id"), IdOf(Eicar()));
  EXPECT_EQ(TextOf(scan, "status"), "done");
  ASSERT_EQ(scan.at("signatures").as_array().size(), 1u);
  EXPECT_EQ(scan.at("signatures").as_array()[0].as_string(), "Test.Eicar.UNOFFICIAL");
  EXPECT_EQ(scan.at("size").as_int64(), 68);
  EXPECT_FALSE(scan.at("cached").as_bool());
  EXPECT_TRUE(scan.at("fresh").as_bool());
  EXPECT_TRUE(std::regex_match(TextOf(scan, "scanned_at"), std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_GE(scan.at("scan_ms").to_number<double>(), 0);
  const auto& engine = scan.at("engine").as_object();
  EXPECT_THAT(KeysOf(engine), UnorderedElementsAre("name", "version", "signature_set"));
  EXPECT_EQ(TextOf(engine, "name"), "ClamAV");
  EXPECT_EQ(answer->Find("Content-Type"), "application/json");
}

TEST_F(RestScan, SaysCleanAndThenFromTheCache) {
  Start();
  const std::string text = PlainText(100'000);
  const auto first = Post(port(), "/v1/scan", text);
  ASSERT_THAT(first, HasVerdict("clean"));
  EXPECT_FALSE(ParseJson(*first).at("cached").as_bool());
  EXPECT_EQ(ParseJson(*first).at("signatures").as_array().size(), 0u);
  const auto second = Post(port(), "/v1/scan", text);
  ASSERT_THAT(second, HasVerdict("clean"));
  EXPECT_TRUE(ParseJson(*second).at("cached").as_bool());
  EXPECT_TRUE(ParseJson(*second).at("fresh").as_bool());
  EXPECT_EQ(TextOf(ParseJson(*second), "scanned_at"), TextOf(ParseJson(*first), "scanned_at"));
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 1);
}

TEST_F(RestScan, TakesAnEmptyFile) {
  Start();
  const auto answer = Post(port(), "/v1/scan", "");
  ASSERT_THAT(answer, HasVerdict("clean"));
  EXPECT_EQ(ParseJson(*answer).at("size").as_int64(), 0);
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}}) + "0\r\n\r\n"));
  EXPECT_THAT(connection.Receive(), HasVerdict("clean"));
}

TEST_F(RestScan, RepeatsTheNameAndTurnsInfectedIntoAStatus) {
  Start();
  const auto named = Post(port(), "/v1/scan?name=in%20voice%22.pdf", "harmless");
  ASSERT_THAT(named, HasVerdict("clean"));
  EXPECT_EQ(TextOf(ParseJson(*named), "name"), "in voice\".pdf");
  for (const int status : {403, 406, 422}) {
    const std::string target = fmt::format("/v1/scan?on_infected={}", status);
    const auto answer = Post(port(), target, Eicar());
    ASSERT_THAT(answer, HasStatus(status));
    EXPECT_EQ(TextOf(ParseJson(*answer), "verdict"), "infected");
    EXPECT_THAT(Post(port(), target, "harmless"), HasVerdict("clean"));
    EXPECT_THAT(PostParts({{"a", "a", "harmless"}, {"b", "b", Eicar()}}, target), HasStatus(status));
  }
  for (const std::string_view bad : {"500", "404", "4030", "403x", "", "-403"}) {
    EXPECT_THAT(Post(port(), fmt::format("/v1/scan?on_infected={}", bad), Eicar()), IsProblem(400, "malformed")) << bad;
  }
  EXPECT_THAT(Post(port(), "/v1/scan?name=a&name=b", "harmless"), IsProblem(400, "malformed"));
}

TEST_F(RestScan, TakesChunksOfEverySize) {
  Start();
  const std::string content = EicarWithPrefix(1);
  for (std::size_t size = 1; size <= content.size(); ++size) {
    HttpConnection connection(port());
    ASSERT_TRUE(
        connection.Send(MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}}) + Chunked(content, size)));
    const auto answer = connection.Receive();
    ASSERT_THAT(answer, HasVerdict("infected")) << "chunks of " << size;
    EXPECT_EQ(TextOf(ParseJson(*answer), "id"), IdOf(content));
  }
}

TEST_F(RestScan, TakesARequestThatIsTornAnywhere) {
  Start();
  const std::string request =
      MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}}) + Chunked(EicarWithPrefix(2), 7);
  HttpConnection connection(port());
  for (std::size_t at = 1; at < request.size(); ++at) {
    ASSERT_TRUE(connection.Send(std::string_view(request).substr(0, at)));
    ASSERT_TRUE(connection.Send(std::string_view(request).substr(at)));
    ASSERT_THAT(connection.Receive(), HasVerdict("infected")) << "torn at " << at;
  }
}

TEST_F(RestScan, ScansTheFilesOfAFormInTheirOrder) {
  Start();
  const auto answer = PostParts({{"one", "clean.txt", PlainText(5000)},
                                 {"comment", std::nullopt, "only a field: " + Eicar()},
                                 {"two", "eicar.com", Eicar()},
                                 {"two", "", ""}});
  ASSERT_THAT(answer, HasStatus(200));
  EXPECT_THAT(KeysOf(ParseJson(*answer)), ElementsAre("scans"));
  const auto scans = Entries(answer);
  ASSERT_EQ(scans.size(), 3u);
  EXPECT_EQ(TextOf(scans[0], "name"), "clean.txt");
  EXPECT_EQ(TextOf(scans[0], "verdict"), "clean");
  EXPECT_EQ(TextOf(scans[0], "id"), IdOf(PlainText(5000)));
  EXPECT_EQ(TextOf(scans[1], "name"), "eicar.com");
  EXPECT_EQ(TextOf(scans[1], "verdict"), "infected");
  EXPECT_EQ(TextOf(scans[2], "verdict"), "clean");
  EXPECT_EQ(scans[2].at("size").as_int64(), 0);
}

TEST_F(RestScan, NamesWhatIsWrongWithAForm) {
  Start();
  EXPECT_THAT(PostParts({{"comment", std::nullopt, "no file"}}), IsProblem(400, "no-file"));
  EXPECT_THAT(Post(port(), "/v1/scan", fmt::format("--{}--\r\n", kBoundary), MultipartHeaders()),
              IsProblem(400, "no-file"));

  std::string open = MakeMultipart({{"a", "a", Eicar()}});
  open.resize(open.size() - 4);  // --CRLF
  const auto unclosed = Post(port(), "/v1/scan", open, MultipartHeaders());
  ASSERT_THAT(unclosed, IsProblem(400, "malformed"));
  EXPECT_THAT(TextOf(ParseJson(*unclosed), "detail"), HasSubstr("closing boundary"));

  for (const std::string type : {"multipart/form-data", "multipart/form-data; boundary=",
                                 "multipart/form-data; boundary=a\"b", "multipart/form-data; boundary=\"x y \""}) {
    const auto answer = Post(port(), "/v1/scan", MakeMultipart({{"a", "a", "x"}}), {{"Content-Type", type}});
    ASSERT_THAT(answer, IsProblem(400, "malformed")) << type;
    EXPECT_THAT(TextOf(ParseJson(*answer), "detail"), HasSubstr("Content-Type")) << type;
  }
  const auto wrong = Post(port(), "/v1/scan", MakeMultipart({{"a", "a", "x"}}),
                          {{"Content-Type", "multipart/form-data; boundary=another"}});
  EXPECT_THAT(wrong, IsProblem(400, "malformed"));
}

TEST_F(RestScan, LimitsTheParts) {
  Start({"--set", "http.max_parts=20"});
  std::vector<Part> parts;
  for (int i = 0; i < 20; ++i) parts.push_back({"f", fmt::format("{}", i), fmt::format("part {}", i)});
  const auto most = PostParts(parts);
  ASSERT_THAT(most, HasStatus(200));
  const auto scans = Entries(most);
  ASSERT_EQ(scans.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(TextOf(scans[static_cast<std::size_t>(i)], "name"), fmt::format("{}", i));
  parts.push_back({"f", "20", Eicar()});
  EXPECT_THAT(PostParts(parts), IsProblem(413, "too-large"));
}

TEST_F(RestScan, AnswersAKnownDigestWithoutTheBody) {
  Start();
  const std::string content = PlainText(50'000, 7);
  const std::string head = MakeRequest("POST", "/v1/scan?name=again",
                                       {{"Repr-Digest", ReprDigestOf(content)},
                                        {"Expect", "100-continue"},
                                        {"Content-Length", std::to_string(content.size())}});
  HttpConnection first(port());
  ASSERT_TRUE(first.Send(head));
  const auto go_on = first.Receive();
  ASSERT_THAT(go_on, HasStatus(100));
  ASSERT_TRUE(first.Send(content));
  const auto scanned = first.Receive();
  ASSERT_THAT(scanned, HasVerdict("clean"));
  EXPECT_FALSE(ParseJson(*scanned).at("cached").as_bool());

  HttpConnection second(port());
  ASSERT_TRUE(second.Send(head));
  const auto known = second.Receive();
  ASSERT_THAT(known, HasVerdict("clean"));
  EXPECT_TRUE(ParseJson(*known).at("cached").as_bool());
  EXPECT_EQ(TextOf(ParseJson(*known), "name"), "again");
}

TEST_F(RestScan, RefusesABodyThatIsNotWhatItsDigestSays) {
  Start();
  EXPECT_THAT(Post(port(), "/v1/scan", "one", {{"Repr-Digest", ReprDigestOf("another")}}),
              IsProblem(400, "digest-mismatch"));
  EXPECT_TRUE(IsUnknown("one"));
  EXPECT_TRUE(IsUnknown("another"));
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 0);
  for (const auto& bad : std::vector<std::string>{"sha-256=:AAAA:", "sha-256=abc", "sha-256",
                                                  "=::", "sha-256=:" + std::string(44, '!') + ":"}) {
    EXPECT_THAT(Post(port(), "/v1/scan", "one", {{"Repr-Digest", bad}}), IsProblem(400, "bad-digest")) << bad;
  }
  EXPECT_TRUE(IsUnknown("one"));
  EXPECT_THAT(Post(port(), "/v1/scan", MakeMultipart({{"a", "a", "one"}}),
                   {MultipartHeaders()[0], {"Repr-Digest", ReprDigestOf("one")}}),
              IsProblem(400, "bad-digest"));
  // Other algorithms are not looked at.
  EXPECT_THAT(Post(port(), "/v1/scan", "one", {{"Repr-Digest", "sha-512=:AAAA:"}}), HasVerdict("clean"));
}

TEST_F(RestScan, LooksAtTheRequestOfAKnownFileAsAtAnyOther) {
  Start();
  const std::string form = MakeMultipart({{"a", "a", Eicar()}});
  ASSERT_THAT(Post(port(), "/v1/scan", form), HasStatus(200)) << "what looks like a form is a file here";
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  const double spooled = Metric("lazaret_spooled_bytes_total");
  const auto known = Post(port(), "/v1/scan?name=a%20b&on_infected=406", Eicar(), {{"Content-Type", "text/plain"}});
  ASSERT_THAT(known, HasStatus(406));
  EXPECT_TRUE(ParseJson(*known).at("cached").as_bool());
  EXPECT_EQ(TextOf(ParseJson(*known), "name"), "a b");
  EXPECT_EQ(Metric("lazaret_spooled_bytes_total"), spooled + static_cast<double>(Eicar().size()));

  EXPECT_EQ(Entries(Post(port(), "/v1/scan", form, MultipartHeaders())).size(), 1u);
  EXPECT_THAT(Post(port(), "/v1/scan?on_infected=1", Eicar()), IsProblem(400, "malformed"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar(), {{"Content-Encoding", "gzip"}}), IsProblem(415, "content-encoding"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar(), {{"Repr-Digest", "sha-256=:AAAA:"}}), IsProblem(400, "bad-digest"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar(), {{"Repr-Digest", ReprDigestOf("another")}}),
              IsProblem(400, "digest-mismatch"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar(), {{"Content-Type", "text/plain"}, {"Content-Type", "text/html"}}),
              IsProblem(400, "malformed"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar(), {{"Expect", "something"}}), HasStatus(417));

  Start({"--max-size", std::to_string(Eicar().size() - 1)});
  ASSERT_THAT(Get(port(), "/v1/scans/" + IdOf(Eicar())), HasVerdict("infected"));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), IsProblem(413, "too-large"));
}

TEST_F(RestScan, LimitsTheSizeOfAContent) {
  constexpr std::size_t kMost = 300'000;
  Start({"--max-size", std::to_string(kMost)});
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(kMost)), HasVerdict("clean"));
  EXPECT_THAT(PostParts({{"a", "a", PlainText(kMost, 2)}}), HasStatus(200));
  EXPECT_THAT(PostParts({{"a", "a", PlainText(kMost + 1)}}), IsProblem(413, "too-large"));

  // When its length is not known, at the limit.
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}})));
  ASSERT_TRUE(connection.Send(fmt::format("{:x}\r\n{}\r\n", kMost, PlainText(kMost, 3))));
  ASSERT_TRUE(connection.Send("1\r\nx\r\n"));
  EXPECT_THAT(connection.Receive(), IsProblem(413, "too-large"));
  EXPECT_TRUE(connection.IsClosedByServer());
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
}

TEST_F(RestScan, RefusesTooLargeAContentBeforeItsBody) {
  for (const std::uint64_t most : {std::uint64_t{1000}, std::uint64_t{1} << 32}) {
    // Whoever waits for the body waits longer than this test does.
    Start({"--max-size", std::to_string(most), "--set", "http.body_timeout=1h"});
    for (const bool asks : {false, true}) {
      Headers headers = {{"Content-Length", std::to_string(most + 1)}};
      if (asks) headers.emplace_back("Expect", "100-continue");
      HttpConnection connection(port());
      ASSERT_TRUE(connection.Send(MakeRequest("POST", "/v1/scan", headers)));
      EXPECT_THAT(connection.Receive(), IsProblem(413, "too-large")) << most << " asks: " << asks;
    }
  }
}

TEST_F(RestScan, IsUnscannableBeyondTheEnginesLimit) {
  constexpr std::size_t kMost = 200'000;
  Start({"--set", fmt::format("engine.max_file_size={}", kMost)});
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(kMost - 1)), HasVerdict("clean"));
  EXPECT_THAT(Post(port(), "/v1/scan", PlainText(kMost)), HasVerdict("clean"));
  const auto answer = Post(port(), "/v1/scan", PlainText(kMost + 1));
  ASSERT_THAT(answer, IsUnscannable("limit-exceeded"));
  EXPECT_THAT(KeysOf(ParseJson(*answer)),
              testing::IsSupersetOf({"id", "status", "verdict", "reason", "signatures", "size", "engine"}));
  EXPECT_EQ(TextOf(ParseJson(*answer), "verdict"), "unscannable");
}

}  // namespace
}  // namespace lazaret::tests
