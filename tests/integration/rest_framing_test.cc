// How requests are told apart on a connection: whatever a proxy before us could split differently is refused.
#include <fmt/format.h>

#include <ranges>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using testing::HasSubstr;

class RestFraming : public ServerTest {
 protected:
  // Sends `bytes` and then a scan, and expects that the first is refused and the second never looked at.
  void ExpectRefusedAndClosed(const std::string& bytes, int status) {
    HttpConnection connection(port());
    (void)connection.Send(bytes + MakeRequest("POST", "/v1/scan", {}, Eicar()));
    const auto answer = connection.Receive();
    EXPECT_THAT(answer, HasStatus(status)) << testing::PrintToString(bytes);
    if (!answer) return;
    EXPECT_EQ(answer->Find("Connection"), "close") << testing::PrintToString(bytes);
    EXPECT_TRUE(connection.IsClosedByServer()) << testing::PrintToString(bytes);
  }
  double Scans() const { return Metric("lazaret_http_requests_total{route=\"/v1/scan\",status=\"200\"}"); }
};

TEST_F(RestFraming, RefusesEveryAmbiguousHead) {
  Start();
  const std::string post = "POST /v1/scan HTTP/1.1\r\nHost: a\r\n";
  const std::vector<std::string> shapes = {
      post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      post + "Content-Length: 5, 5\r\n\r\nhello",
      post + "Content-Length: +5\r\n\r\nhello",
      post + "Content-Length: -5\r\n\r\nhello",
      post + "Content-Length: 0x5\r\n\r\nhello",
      post + "Content-Length: 5 5\r\n\r\nhello",
      post + "Content-Length: 5;\r\n\r\nhello",
      post + "Content-Length:\r\n\r\nhello",
      post + "Content-Length: 18446744073709551621\r\n\r\nhello",
      post + "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: identity\r\n\r\n",
      post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
      post +
          "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding:\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
      post + " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
      post + "X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "X: y\nContent-Length: 5\r\n\r\nhello",
      post + "X: y\rContent-Length: 5\r\n\r\nhello",
      post + "Content-Length: 5\n\nhello",
      post + std::string("X: a\0b\r\nContent-Length: 5\r\n\r\nhello", 34),
      post + ": 5\r\nContent-Length: 5\r\n\r\nhello",
      post + "Content(Length: 5\r\n\r\nhello",
      "POST /v1/scan HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /v1/scan HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
      post + "Host: b\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan HTTP/1.2\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan HTTP/2.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan http/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST  /v1/scan HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan HTTP/1.1 \r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST\t/v1/scan\tHTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      " POST /v1/scan HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /v1/scan#x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST v1/scan HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
      "\r\n\r\nPOST /v1/scan HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\x16\x03\x01\x02\x01\x01\r\n\r\n",
  };
  for (const std::string& shape : shapes) ExpectRefusedAndClosed(shape, 400);
  EXPECT_EQ(Scans(), 0);
  EXPECT_EQ(Metric("lazaret_http_requests_total{route=\"bad-head\",status=\"400\"}"),
            static_cast<double>(shapes.size()));
}

TEST_F(RestFraming, RefusesEveryAmbiguousChunk) {
  Start();
  const std::string head = MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}});
  for (const std::string& body : {
           "zz\r\nhello\r\n0\r\n\r\n",
           "\r\nhello\r\n0\r\n\r\n",
           "-5\r\nhello\r\n0\r\n\r\n",
           "+5\r\nhello\r\n0\r\n\r\n",
           "0x5\r\nhello\r\n0\r\n\r\n",
           " 5\r\nhello\r\n0\r\n\r\n",
           "5 \r\nhello\r\n0\r\n\r\n",
           "5\nhello\r\n0\r\n\r\n",
           "5\rhello\r\n0\r\n\r\n",
           "5;x\nhello\r\n0\r\n\r\n",
           "5\r\nhello, world\r\n0\r\n\r\n",
           "5\r\nhello\n0\r\n\r\n",
           "5\r\nhello0\r\n\r\n",
           "10000000000000005\r\nhello\r\n0\r\n\r\n",
           "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
           "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
           "5\r\nhello\r\n0\r\nX: y\n\r\n",
       }) {
    ExpectRefusedAndClosed(head + body, 400);
  }
  EXPECT_EQ(Scans(), 0);
  // What a careful reader accepts: extensions, trailers, leading zeroes.
  HttpConnection connection(port());
  ASSERT_TRUE(
      connection.Send(head + "00005;name=\"v\"\r\nhello\r\n0\r\nX: y\r\n\r\n" + MakeRequest("GET", "/healthz")));
  EXPECT_THAT(connection.Receive(), HasVerdict("clean"));
  EXPECT_THAT(connection.Receive(), HasStatus(200));
}

TEST_F(RestFraming, LimitsTheHead) {
  Start({"--set", "http.max_head_size=4KiB"});
  const auto request = [](std::size_t size) {
    const std::size_t rest = MakeRequest("GET", "/healthz", {{"X", ""}}).size();
    return MakeRequest("GET", "/healthz", {{"X", std::string(size - rest, 'x')}});
  };
  HttpConnection connection(port());
  // Alone, and with the next request in the same packet.
  ASSERT_TRUE(connection.Send(request(4096)));
  EXPECT_THAT(connection.Receive(), HasStatus(200));
  ASSERT_TRUE(connection.Send(request(4096) + request(4096)));
  EXPECT_THAT(connection.Receive(), HasStatus(200));
  EXPECT_THAT(connection.Receive(), HasStatus(200));
  ExpectRefusedAndClosed(request(4097), 431);
  // Not even its end has to come.
  ExpectRefusedAndClosed("GET /healthz HTTP/1.1\r\nX: " + std::string(100'000, 'x'), 431);
  const auto fields = [](int count) {
    return MakeRequest("GET", "/healthz", Headers(static_cast<std::size_t>(count - 1), {"X", "y"}));
  };
  ASSERT_TRUE(connection.Send(fields(100)));
  EXPECT_THAT(connection.Receive(), HasStatus(200));
  ExpectRefusedAndClosed(fields(101), 431);
}

TEST_F(RestFraming, DoesNotWaitForSlowHeads) {
  Start({"--set", "http.head_timeout=300ms", "--set", "http.idle_timeout=400ms"});
  HttpConnection half(port());
  ASSERT_TRUE(half.Send("GET /healthz HTTP/1.1\r\nHost:"));
  EXPECT_THAT(half.Receive(), IsProblem(408, "slow-head"));
  EXPECT_TRUE(half.IsClosedByServer());
  // A byte now and then does not help.
  HttpConnection dripping(port());
  Result<void> sent;
  for (int i = 0; i < 1000 && sent && !dripping.HasInput(milliseconds(20)); ++i) sent = dripping.Send("x");
  EXPECT_THAT(dripping.Receive(), IsProblem(408, "slow-head"));
  // A connection without a request is closed without an answer, also after one that was answered.
  HttpConnection idle(port());
  EXPECT_TRUE(idle.IsClosedByServer());
  HttpConnection used(port());
  ASSERT_TRUE(used.Send(MakeRequest("GET", "/healthz")));
  EXPECT_THAT(used.Receive(), HasStatus(200));
  EXPECT_TRUE(used.IsClosedByServer());
}

TEST_F(RestFraming, DoesNotWaitForSlowBodies) {
  Start({"--set", "http.body_timeout=300ms"});
  HttpConnection stalled(port());
  ASSERT_TRUE(stalled.Send(MakeRequest("POST", "/v1/scan", {{"Content-Length", "1000"}}) + "the beginning"));
  EXPECT_THAT(stalled.Receive(), IsProblem(408, "slow-body"));
  EXPECT_TRUE(stalled.IsClosedByServer());
  HttpConnection stalled_in_chunk(port());
  ASSERT_TRUE(stalled_in_chunk.Send(MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}}) + "5\r\nhe"));
  EXPECT_THAT(stalled_in_chunk.Receive(), IsProblem(408, "slow-body"));
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
}

TEST_F(RestFraming, ForgetsAnUploadThatBreaksOff) {
  Start();
  const std::string content = EicarWithPrefix(3);
  const std::string with_length = MakeRequest("POST", "/v1/scan", {}, content);
  const std::string chunked =
      MakeRequest("POST", "/v1/scan", {{"Transfer-Encoding", "chunked"}}) + Chunked(content, 99);
  for (const std::string& request : {with_length, chunked}) {
    for (const bool reset : {false, true}) {
      HttpConnection connection(port());
      ASSERT_TRUE(connection.Send(std::string_view(request).substr(0, request.size() - 1)));
      if (reset) {
        connection.Reset();
      } else {
        connection.CloseSending();
        EXPECT_THAT(connection.Receive(), IsProblem(400, "incomplete-body"));
      }
    }
  }
  EXPECT_TRUE(MetricBecomes("lazaret_http_requests_total{route=\"/v1/scan\",status=\"400\"}", 4));
  EXPECT_EQ(StatusOf(content), "");
  // All of it but the last byte is a content of its own, which nobody sent either.
  EXPECT_EQ(StatusOf(std::string_view(content).substr(0, content.size() - 1)), "");
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 0);
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
}

TEST_F(RestFraming, KeepsAConnection) {
  Start();
  HttpConnection connection(port());
  for (unsigned i = 0; i < 100; ++i) {
    const bool infected = i % 3 == 0;
    ASSERT_TRUE(connection.Send(
        MakeRequest("POST", "/v1/scan", {}, infected ? EicarWithPrefix(i) : fmt::format("harmless {}", i))));
    ASSERT_THAT(connection.Receive(), HasVerdict(infected ? "infected" : "clean")) << i;
  }
  // An answer that does not need the body keeps the connection, too.
  ASSERT_TRUE(connection.Send(MakeRequest("POST", "/nowhere", {}, PlainText(10'000))));
  EXPECT_THAT(connection.Receive(), HasStatus(404));
  ASSERT_TRUE(connection.Send(MakeRequest("GET", "/healthz")));
  EXPECT_THAT(connection.Receive(), HasStatus(200));
}

TEST_F(RestFraming, AnswersPipelinedRequestsInTheirOrder) {
  Start();
  std::string requests;
  for (unsigned i = 0; i < 20; ++i) {
    switch (i % 4) {
      case 0: requests += MakeRequest("POST", "/v1/scan", {}, EicarWithPrefix(i)); break;
      case 1: requests += MakeRequest("GET", "/healthz"); break;
      case 2:
        requests += MakeRequest("POST", fmt::format("/v1/scan?name={}", i), {{"Transfer-Encoding", "chunked"}}) +
                    Chunked(PlainText(5000, i), 333);
        break;
      default: requests += MakeRequest("POST", "/nowhere", {}, PlainText(2000, i));
    }
  }
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(requests));
  for (unsigned i = 0; i < 20; ++i) {
    const auto answer = connection.Receive();
    switch (i % 4) {
      case 0:
        ASSERT_THAT(answer, HasVerdict("infected")) << i;
        EXPECT_EQ(TextOf(ParseJson(*answer), "id"), IdOf(EicarWithPrefix(i)));
        break;
      case 1: ASSERT_THAT(answer, HasStatus(200)) << i; break;
      case 2:
        ASSERT_THAT(answer, HasVerdict("clean")) << i;
        EXPECT_EQ(TextOf(ParseJson(*answer), "name"), fmt::format("{}", i));
        break;
      default: ASSERT_THAT(answer, HasStatus(404)) << i;
    }
  }
}

TEST_F(RestFraming, ClosesWhenTheClientWantsIt) {
  Start();
  HttpConnection asked(port());
  ASSERT_TRUE(asked.Send(MakeRequest("GET", "/healthz", {{"Connection", "close"}}) + MakeRequest("GET", "/healthz")));
  const auto answer = asked.Receive();
  ASSERT_THAT(answer, HasStatus(200));
  EXPECT_EQ(answer->Find("Connection"), "close");
  EXPECT_TRUE(asked.IsClosedByServer());

  HttpConnection old(port());
  ASSERT_TRUE(old.Send("POST /v1/scan HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"));
  EXPECT_THAT(old.Receive(), HasVerdict("clean"));
  EXPECT_TRUE(old.IsClosedByServer());

  // A client that speaks HTTP/1.0 keeps a connection only when it is told so.
  HttpConnection kept(port());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(kept.Send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    const auto told = kept.Receive();
    ASSERT_THAT(told, HasStatus(200));
    EXPECT_EQ(told->Find("Connection"), "keep-alive");
  }
}

}  // namespace
}  // namespace lazaret::tests
