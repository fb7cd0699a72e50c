// POST /v1/scans: what it takes, what it answers, and what it refuses.
#include <boost/json/value.hpp>

#include <regex>

#include <fmt/format.h>

#include "integration/async_fixture.h"

namespace lazaret::tests {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr std::size_t kMiB = 1024 * 1024;

class AsyncSubmit : public AsyncTest {
 protected:
  bool IsUnknown(std::string_view content) const {
    return Poll(port(), IdOf(content), 0)->status == 404 && JobsInfo("queued") + JobsInfo("scanning") == 0;
  }
};

TEST_F(AsyncSubmit, AnswersWithTheScanAndWhereToAsk) {
  LaunchWithoutEngine();
  const auto answer = Submit(port(), Eicar());
  ASSERT_THAT(answer, IsQueued(IdOf(Eicar())));
  EXPECT_THAT(KeysOf(ParseJson(*answer)), UnorderedElementsAre("id", "status", "size"));
  EXPECT_EQ(ParseJson(*answer).at("size").as_int64(), 68);
  EXPECT_EQ(answer->Find("Content-Type"), "application/json");
  const auto named = Post(port(), "/v1/scans?name=in%20voice%22.pdf", "harmless");
  ASSERT_THAT(named, IsQueued(IdOf("harmless")));
  EXPECT_EQ(TextOf(ParseJson(*named), "name"), "in voice\".pdf");
  GiveSignatures();
  EXPECT_EQ(VerdictOf(Eicar()), "infected");
  EXPECT_EQ(VerdictOf("harmless"), "clean");
}

TEST_F(AsyncSubmit, TakesChunksEmptyFilesAndLargeOnes) {
  LaunchWithoutEngine();
  EXPECT_THAT(SubmitChunked(port(), EicarWithPrefix(1)), IsQueued(IdOf(EicarWithPrefix(1))));
  EXPECT_THAT(Submit(port(), ""), IsQueued(IdOf("")));
  // On either side of what is kept in the database, and of what is held in memory.
  std::vector<std::string> contents;
  for (const std::size_t limit : {64 * std::size_t{1024}, kMiB}) {
    for (const std::size_t size : {limit, limit + 1}) {
      contents.push_back(PlainText(size - 68, static_cast<unsigned>(size)) + Eicar());
      ASSERT_EQ(contents.back().size(), size);
      EXPECT_THAT(Submit(port(), contents.back()), IsQueued(IdOf(contents.back()))) << size;
    }
  }
  GiveSignatures();
  EXPECT_EQ(VerdictOf(EicarWithPrefix(1)), "infected");
  EXPECT_EQ(VerdictOf(""), "clean");
  for (const std::string& content : contents) EXPECT_EQ(VerdictOf(content), "infected") << content.size();
  EXPECT_TRUE(JobsBecome("done", 6));
  EXPECT_THAT(ContentFiles(), ElementsAre());
}

TEST_F(AsyncSubmit, TakesTheFilesOfAForm) {
  LaunchWithoutEngine();
  const std::vector<Part> parts = {{"one", "clean.txt", PlainText(5000)},
                                   {"comment", std::nullopt, std::string(10'000, 'x')},
                                   {"two", "eicar.com", Eicar()},
                                   {"two", "again.txt", PlainText(5000)},
                                   {"three", "", PlainText(200'000)}};
  const auto answer = SubmitForm(port(), parts);
  ASSERT_THAT(answer, HasStatus(202));
  EXPECT_TRUE(answer->Find("Retry-After"));
  EXPECT_FALSE(answer->Find("Location")) << "there are several";
  const auto scans = ScansOf(answer);
  ASSERT_EQ(scans.size(), 4u);
  for (const auto& scan : scans) EXPECT_EQ(TextOf(scan, "status"), "queued");
  EXPECT_EQ(TextOf(scans[0], "name"), "clean.txt");
  EXPECT_EQ(TextOf(scans[1], "name"), "eicar.com");
  EXPECT_EQ(TextOf(scans[1], "id"), IdOf(Eicar()));
  EXPECT_EQ(TextOf(scans[2], "name"), "again.txt");
  EXPECT_EQ(TextOf(scans[2], "id"), TextOf(scans[0], "id"));
  EXPECT_EQ(JobsInfo("queued"), 3) << "the same content has one job";
  const auto single = SubmitForm(port(), {{"f", "f", "only one"}});
  ASSERT_THAT(single, HasStatus(202));
  EXPECT_EQ(single->Find("Location"), "/v1/scans/" + IdOf("only one"));

  GiveSignatures();
  EXPECT_EQ(VerdictOf(Eicar()), "infected");
  for (const std::string& content : {PlainText(5000), PlainText(200'000), std::string("only one")}) {
    EXPECT_EQ(VerdictOf(content), "clean");
  }
  const auto known = SubmitForm(port(), parts);
  ASSERT_THAT(known, HasStatus(200));
  EXPECT_FALSE(known->Find("Retry-After"));
  ASSERT_EQ(ScansOf(known).size(), 4u);
  for (const auto& scan : ScansOf(known)) EXPECT_EQ(TextOf(scan, "status"), "done");
  EXPECT_EQ(TextOf(ScansOf(known)[1], "verdict"), "infected");
}

TEST_F(AsyncSubmit, AnswersPartlyKnownFormsWith202) {
  Start();
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  const auto answer = SubmitForm(port(), {{"a", "a", Eicar()}, {"b", "b", "never seen"}});
  ASSERT_THAT(answer, HasStatus(202));
  ASSERT_EQ(ScansOf(answer).size(), 2u);
  EXPECT_EQ(TextOf(ScansOf(answer)[0], "verdict"), "infected");
  EXPECT_EQ(TextOf(ScansOf(answer)[1], "status"), "queued");
  EXPECT_EQ(VerdictOf("never seen"), "clean");
}

TEST_F(AsyncSubmit, AnswersAtOnceWhatIsKnown) {
  Start();
  ASSERT_THAT(Submit(port(), Eicar()), IsQueued(IdOf(Eicar())));
  ASSERT_EQ(VerdictOf(Eicar()), "infected");
  const auto known = Submit(port(), Eicar());
  ASSERT_THAT(known, HasVerdict("infected"));
  EXPECT_EQ(known->Find("Location"), "/v1/scans/" + IdOf(Eicar()));
  EXPECT_FALSE(known->Find("Retry-After"));
  EXPECT_TRUE(ParseJson(*known).at("cached").as_bool());
  EXPECT_THAT(SubmitChunked(port(), Eicar()), HasVerdict("infected"));
  // Scanned for somebody who waited; submitted now.
  ASSERT_THAT(Post(port(), "/v1/scan", "harmless"), HasVerdict("clean"));
  EXPECT_THAT(Submit(port(), "harmless"), HasVerdict("clean"));
  EXPECT_EQ(Metric("lazaret_jobs_total{event=\"queued\"}"), 1);
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 2);
}

TEST_F(AsyncSubmit, AttachesToTheJobThatIsThere) {
  LaunchWithoutEngine();
  ASSERT_THAT(Submit(port(), Eicar()), IsQueued(IdOf(Eicar())));
  const auto again = Submit(port(), Eicar());
  ASSERT_THAT(again, IsQueued(IdOf(Eicar())));
  EXPECT_TRUE(ParseJson(*again).contains("submitted_at"));
  EXPECT_THAT(SubmitForm(port(), {{"a", "a", Eicar()}}), HasStatus(202));
  EXPECT_EQ(Metric("lazaret_jobs_total{event=\"queued\"}"), 1);
  EXPECT_EQ(Metric("lazaret_jobs_total{event=\"attached\"}"), 2);
  EXPECT_EQ(JobsInfo("queued"), 1);
  GiveSignatures();
  EXPECT_EQ(VerdictOf(Eicar()), "infected");
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 1);
}

TEST_F(AsyncSubmit, AnswersAKnownDigestWithoutTheBody) {
  Start();
  const std::string content = PlainText(50'000, 7);
  const std::string head = MakeRequest("POST", "/v1/scans?name=again",
                                       {{"Repr-Digest", ReprDigestOf(content)},
                                        {"Expect", "100-continue"},
                                        {"Content-Length", std::to_string(content.size())}});
  HttpConnection first(port());
  ASSERT_TRUE(first.Send(head));
  ASSERT_THAT(first.Receive(), HasStatus(100));
  ASSERT_TRUE(first.Send(content));
  ASSERT_THAT(first.Receive(), IsQueued(IdOf(content)));
  ASSERT_EQ(VerdictOf(content), "clean");

  HttpConnection second(port());
  ASSERT_TRUE(second.Send(head));
  const auto known = second.Receive();
  ASSERT_THAT(known, HasVerdict("clean"));
  EXPECT_EQ(TextOf(ParseJson(*known), "name"), "again");
}

TEST_F(AsyncSubmit, QueuesNothingThatIsNotWhatItsDigestSays) {
  LaunchWithoutEngine();
  EXPECT_THAT(Submit(port(), "one", {{"Repr-Digest", ReprDigestOf("another")}}), IsProblem(400, "digest-mismatch"));
  EXPECT_TRUE(IsUnknown("one"));
  EXPECT_TRUE(IsUnknown("another"));
  EXPECT_THAT(Submit(port(), "one", {{"Repr-Digest", "sha-256=:AAAA:"}}), IsProblem(400, "bad-digest"));
  EXPECT_THAT(
      Submit(port(), MakeMultipart({{"a", "a", "one"}}), {MultipartHeaders()[0], {"Repr-Digest", ReprDigestOf("one")}}),
      IsProblem(400, "bad-digest"));
  EXPECT_TRUE(IsUnknown("one"));
  EXPECT_THAT(Submit(port(), "one", {{"Repr-Digest", ReprDigestOf("one")}}), IsQueued(IdOf("one")));
}

TEST_F(AsyncSubmit, RefusesWhatItCannotTake) {
  LaunchWithoutEngine({"--max-size", "1000"});
  // What means something to /v1/scan alone must not be taken for nothing.
  for (const std::string_view query : {"on_infected=403", "on_unscannable=403", "wait=1", "Name=x", "name=a&name=b",
                                       "callback=a&callback=b", "name=%zz"}) {
    EXPECT_THAT(Post(port(), fmt::format("/v1/scans?{}", query), "one"), IsProblem(400, "malformed")) << query;
  }
  EXPECT_THAT(Post(port(), "/v1/scans?name=" + std::string(1025, 'n'), "one"), IsProblem(400, "malformed"));
  EXPECT_THAT(SubmitForm(port(), {{"f", std::string(1025, 'n'), "one"}}), IsProblem(400, "malformed"));
  EXPECT_THAT(SubmitForm(port(), {{"comment", std::nullopt, "no file"}}), IsProblem(400, "no-file"));
  std::string unclosed = MakeMultipart({{"f", "f", "one"}, {"g", "g", "two"}});
  unclosed.resize(unclosed.size() - 4);  // --CRLF
  EXPECT_THAT(Submit(port(), unclosed, MultipartHeaders()), IsProblem(400, "malformed"));
  EXPECT_THAT(Submit(port(), std::string(1001, 'x')), IsProblem(413, "too-large"));
  EXPECT_THAT(SubmitForm(port(), {{"f", "f", "one"}, {"g", "g", std::string(1001, 'x')}}), IsProblem(413, "too-large"));
  EXPECT_THAT(Submit(port(), "one", {{"Content-Encoding", "gzip"}}), IsProblem(415, "content-encoding"));
  HttpConnection bodiless(port());
  ASSERT_TRUE(bodiless.Send(MakeRequest("POST", "/v1/scans")));
  EXPECT_THAT(bodiless.Receive(), IsProblem(411, "length-required"));
  EXPECT_THAT(Get(port(), "/v1/scans"), HasStatus(405));
  EXPECT_TRUE(IsUnknown("one")) << "a form is taken as a whole or not at all";

  EXPECT_THAT(Post(port(), "/v1/scans?name=" + std::string(1024, 'n'), "one"), HasStatus(202));
  EXPECT_THAT(SubmitForm(port(), {{"f", std::string(1024, 'n'), "two"}}), HasStatus(202));
  EXPECT_THAT(Submit(port(), std::string(1000, 'x')), HasStatus(202));
}

TEST_F(AsyncSubmit, RefusesAnUploadThatEndsTooSoon) {
  LaunchWithoutEngine();
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(MakeRequest("POST", "/v1/scans", {{"Content-Length", "10"}}) + "one"));
  connection.CloseSending();
  const auto answer = connection.Receive();
  EXPECT_TRUE(!answer || answer->status == 400);
  EXPECT_TRUE(MetricBecomes("lazaret_http_connections", 1));
  EXPECT_TRUE(IsUnknown("one"));
}

TEST_F(AsyncSubmit, CallsNobodyBackUnlessAllowed) {
  LaunchWithoutEngine();
  const std::string url = "https://hooks.example.com/x";
  const auto refused = Post(port(), "/v1/scans?callback=" + url, "one");
  ASSERT_THAT(refused, IsProblem(400, "bad-callback"));
  EXPECT_THAT(TextOf(ParseJson(*refused), "detail"), HasSubstr("webhook.hosts"));
  EXPECT_THAT(SubmitForm(port(), {{"f", "f", "one"}}, "/v1/scans?callback=" + url), IsProblem(400, "bad-callback"));
  EXPECT_THAT(SubmitForm(port(), {{"callback", std::nullopt, url}, {"f", "f", "one"}}), IsProblem(400, "bad-callback"));
  EXPECT_THAT(SubmitForm(port(), {{"f", "f", "one"}, {"callback", std::nullopt, url}}), IsProblem(400, "bad-callback"));
  EXPECT_TRUE(IsUnknown("one"));
  // A field that is looked at has its limit; of others any size is passed over.
  EXPECT_THAT(SubmitForm(port(), {{"callback", std::nullopt, std::string(4096, 'c')}, {"f", "f", "one"}}),
              IsProblem(400, "bad-callback"));
  EXPECT_THAT(SubmitForm(port(), {{"callback", std::nullopt, std::string(4097, 'c')}, {"f", "f", "one"}}),
              IsProblem(400, "malformed"));
  EXPECT_THAT(SubmitForm(port(), {{"Callback", std::nullopt, std::string(4097, 'c')}, {"f", "f", "one"}}),
              HasStatus(202));
}

TEST_F(AsyncSubmit, BoundsTheJobsThatWait) {
  LaunchWithoutEngine({"--set", "jobs.max_waiting=3"});
  for (int i = 0; i < 2; ++i) EXPECT_THAT(Submit(port(), fmt::format("job {}", i)), HasStatus(202));
  // The last place, for one of two files: what was promised is kept, and the form can be sent again.
  EXPECT_THAT(SubmitForm(port(), {{"a", "a", "job 2"}, {"b", "b", "job 3"}}), IsProblem(503, "overloaded"));
  EXPECT_EQ(JobsInfo("queued"), 3);
  const auto refused = Submit(port(), "job 4");
  ASSERT_THAT(refused, IsProblem(503, "overloaded"));
  EXPECT_TRUE(refused->Find("Retry-After"));
  EXPECT_THAT(TextOf(ParseJson(*refused), "detail"), HasSubstr("jobs.max_waiting"));
  HttpConnection asks(port());
  ASSERT_TRUE(asks.Send(MakeRequest("POST", "/v1/scans", {{"Content-Length", "5"}, {"Expect", "100-continue"}})));
  EXPECT_THAT(asks.Receive(), IsProblem(503, "overloaded")) << "before its body";
  const auto info = ParseJson(*Get(port(), "/v1/info")).at("jobs").as_object();
  EXPECT_FALSE(info.at("accepting").as_bool());
  EXPECT_THAT(TextOf(info, "reason"), HasSubstr("jobs.max_waiting"));

  GiveSignatures();
  EXPECT_TRUE(JobsBecome("queued", 0) && JobsBecome("scanning", 0));
  EXPECT_THAT(SubmitForm(port(), {{"a", "a", "job 2"}, {"b", "b", "job 3"}}), testing::Truly([](const auto& answer) {
                return answer && (answer->status == 202 || answer->status == 200);
              }));
  EXPECT_EQ(VerdictOf("job 2"), "clean");
  EXPECT_EQ(VerdictOf("job 3"), "clean");
}

TEST_F(AsyncSubmit, BoundsTheBytesThatWait) {
  LaunchWithoutEngine({"--set", "jobs.disk_budget=1MiB"});
  EXPECT_THAT(Submit(port(), PlainText(kMiB + 1)), IsProblem(413, "too-large"));
  EXPECT_THAT(Submit(port(), PlainText(kMiB - 10)), HasStatus(202));
  const auto refused = Submit(port(), "eleven byte");
  ASSERT_THAT(refused, IsProblem(503, "overloaded"));
  EXPECT_THAT(TextOf(ParseJson(*refused), "detail"), HasSubstr("jobs.disk_budget"));
  EXPECT_TRUE(refused->Find("Retry-After"));
  EXPECT_THAT(SubmitForm(port(), {{"a", "a", "eleven byte"}}), IsProblem(503, "overloaded"));
  EXPECT_THAT(SubmitChunked(port(), "eleven byte"), IsProblem(503, "overloaded"));
  EXPECT_THAT(Submit(port(), "ten bytes!"), HasStatus(202));
  EXPECT_EQ(JobsInfo("bytes"), kMiB);
  GiveSignatures();
  EXPECT_TRUE(JobsBecome("done", 2));
  EXPECT_EQ(JobsInfo("bytes"), 0);
  EXPECT_THAT(Submit(port(), PlainText(kMiB, 3)), HasStatus(202));
  EXPECT_EQ(VerdictOf(PlainText(kMiB, 3)), "clean");
}

}  // namespace
}  // namespace lazaret::tests
