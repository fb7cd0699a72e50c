#include "wire/http_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lazaret::wire {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

std::string Head(std::string_view request_line, std::string_view fields = "Host: a\r\n") {
  return std::string(request_line) + "\r\n" + std::string(fields) + "\r\n";
}

std::string Post(std::string_view fields) {
  return Head("POST /v1/scan HTTP/1.1", "Host: a\r\n" + std::string(fields));
}

TEST(ParseRequestHead, ReadsWhatCurlSends) {
  const std::string head = Head("POST /v1/scan?on_infected=403&wait=5 HTTP/1.1",
                                "Host: localhost:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                                "Content-Length: 1024\r\nExpect: 100-continue\r\nX-Empty:\r\nX-Wide: \t a  b \t\r\n");
  const auto request = ParseRequestHead(head);
  ASSERT_TRUE(request) << request.error().what;
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->path, "/v1/scan");
  EXPECT_EQ(request->query, "on_infected=403&wait=5");
  EXPECT_EQ(request->host, "localhost:8080");
  EXPECT_EQ(request->minor_version, 1);
  EXPECT_EQ(request->body, BodyFraming::kLength);
  EXPECT_EQ(request->content_length, 1024u);
  EXPECT_TRUE(request->keep_alive);
  EXPECT_EQ(request->expectation, Expectation::kContinue);
  ASSERT_EQ(request->fields.size(), 7u);
  EXPECT_EQ(request->fields[1].name, "User-Agent");
  EXPECT_EQ(request->Find("user-AGENT"), "curl/7.88.1");
  EXPECT_EQ(request->Find("x-empty"), "");
  EXPECT_EQ(request->Find("x-wide"), "a  b");
  EXPECT_EQ(request->Find("x-none"), std::nullopt);
  EXPECT_EQ(request->Find("hos"), std::nullopt);
}

TEST(ParseRequestHead, FindsTheFirstAndCountsAll) {
  const std::string head = Post("A: 1\r\na: 2\r\nB: 3\r\n");
  const auto request = ParseRequestHead(head);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->Find("A"), "1");
  EXPECT_EQ(request->Count("A"), 2u);
  EXPECT_EQ(request->Count("b"), 1u);
  EXPECT_EQ(request->Count("c"), 0u);
}

TEST(ParseRequestHead, ReadsEveryFormOfTarget) {
  struct Case {
    std::string_view line, path, query, host;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1", "/", "", "a"},
      {"GET /? HTTP/1.1", "/", "", "a"},
      {"GET /a/%2e?b?c=/d HTTP/1.1", "/a/%2e", "b?c=/d", "a"},
      {"GET //x HTTP/1.1", "//x", "", "a"},
      {"OPTIONS * HTTP/1.1", "*", "", "a"},
      {"GET http://b:81/p?q HTTP/1.1", "/p", "q", "b:81"},
      {"GET HTTPS://b HTTP/1.1", "/", "", "b"},
      {"GET http://b?q HTTP/1.1", "/", "q", "b"},
      {"GET http://[::1]:80/ HTTP/1.1", "/", "", "[::1]:80"},
      {"!#$%&'*+-.^_`|~09azAZ /x[1]|y HTTP/1.1", "/x[1]|y", "", "a"},
  };
  for (const Case& c : cases) {
    const std::string head = Head(c.line);
    const auto request = ParseRequestHead(head);
    ASSERT_TRUE(request) << c.line << ": " << request.error().what;
    EXPECT_EQ(request->path, c.path) << c.line;
    EXPECT_EQ(request->query, c.query) << c.line;
    EXPECT_EQ(request->host, c.host) << c.line;
  }
}

TEST(ParseRequestHead, ReadsTheFramingOfTheBody) {
  struct Case {
    std::string_view fields;
    BodyFraming body;
    std::uint64_t length;
  };
  const Case cases[] = {
      {"", BodyFraming::kNone, 0},
      {"Content-Length: 0\r\n", BodyFraming::kLength, 0},
      {"CONTENT-length:\t007 \r\n", BodyFraming::kLength, 7},
      {"Content-Length: 9223372036854775807\r\n", BodyFraming::kLength, 9223372036854775807u},
      {"Transfer-Encoding: chunked\r\n", BodyFraming::kChunked, 0},
      {"transfer-encoding: CHUNKED \r\n", BodyFraming::kChunked, 0},
  };
  for (const Case& c : cases) {
    const std::string head = Post(c.fields);
    const auto request = ParseRequestHead(head);
    ASSERT_TRUE(request) << c.fields << request.error().what;
    EXPECT_EQ(request->body, c.body) << c.fields;
    EXPECT_EQ(request->content_length, c.length) << c.fields;
  }
}

TEST(ParseRequestHead, KnowsWhetherTheConnectionStays) {
  struct Case {
    std::string_view version, fields;
    bool stays;
  };
  const Case cases[] = {
      {"HTTP/1.1", "", true},
      {"HTTP/1.1", "Connection: Close\r\n", false},
      {"HTTP/1.1", "Connection: keep-alive, , TE ,close\r\n", false},
      {"HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"HTTP/1.1", "Connection: closed\r\n", true},
      {"HTTP/1.1", "Connection:\r\n", true},
      {"HTTP/1.0", "", false},
      {"HTTP/1.0", "Connection: Keep-Alive\r\n", true},
      {"HTTP/1.0", "Connection: close, keep-alive\r\n", false},
  };
  for (const Case& c : cases) {
    const std::string head = Head("GET / " + std::string(c.version), "Host: a\r\n" + std::string(c.fields));
    const auto request = ParseRequestHead(head);
    ASSERT_TRUE(request) << c.version << c.fields;
    EXPECT_EQ(request->keep_alive, c.stays) << c.version << ' ' << c.fields;
  }
}

TEST(ParseRequestHead, ReadsExpectations) {
  struct Case {
    std::string_view version, fields;
    Expectation expectation;
  };
  const Case cases[] = {
      {"HTTP/1.1", "", Expectation::kNone},
      {"HTTP/1.1", "Expect: 100-Continue\r\n", Expectation::kContinue},
      {"HTTP/1.0", "Expect: 100-continue\r\n", Expectation::kNone},
      {"HTTP/1.1", "Expect: 100-continu\r\n", Expectation::kUnsupported},
      {"HTTP/1.1", "Expect: 100-continue, x\r\n", Expectation::kUnsupported},
      {"HTTP/1.1", "Expect:\r\n", Expectation::kUnsupported},
      {"HTTP/1.1", "Expect: x\r\nExpect: 100-continue\r\n", Expectation::kUnsupported},
      {"HTTP/1.1", "Expect: 100-continue\r\nExpect: x\r\n", Expectation::kUnsupported},
      {"HTTP/1.0", "Expect: x\r\n", Expectation::kUnsupported},
  };
  for (const Case& c : cases) {
    const std::string head = Head("GET / " + std::string(c.version), "Host: a\r\n" + std::string(c.fields));
    const auto request = ParseRequestHead(head);
    ASSERT_TRUE(request) << c.fields;
    EXPECT_EQ(request->expectation, c.expectation) << c.version << ' ' << c.fields;
  }
}

TEST(ParseRequestHead, TakesHttp10WithoutHost) {
  const auto request = ParseRequestHead("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(request) << request.error().what;
  EXPECT_EQ(request->minor_version, 0);
  EXPECT_EQ(request->host, "");
}

TEST(ParseRequestHead, TakesTheHostsThatExist) {
  for (const std::string_view host : {"", "a", "a.example:8080", "a:", "127.0.0.1", "[::1]", "[fe80::1%25eth0]:80",
                                      "xn--bcher-kva.example", "under_score"}) {
    const std::string head = Head("GET / HTTP/1.1", "Host: " + std::string(host) + "\r\n");
    const auto request = ParseRequestHead(head);
    ASSERT_TRUE(request) << host << ": " << request.error().what;
    EXPECT_EQ(request->host, host);
  }
}

TEST(ParseRequestHead, SkipsOneEmptyLineAndNoMore) {
  EXPECT_TRUE(ParseRequestHead("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(ParseRequestHead("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").error().what,
              HasSubstr("request line is empty"));
}

TEST(ParseRequestHead, RefusesWhatCouldBeReadInTwoWays) {
  struct Case {
    std::string head;
    std::string_view what;
  };
  const std::string kChunked = "Transfer-Encoding: chunked\r\n";
  const Case cases[] = {
      // Framing of the body.
      {Post("Content-Length: 1\r\n" + kChunked), "both Content-Length and Transfer-Encoding"},
      {Post(kChunked + "Content-Length: 1\r\n"), "both Content-Length and Transfer-Encoding"},
      {Post("Content-Length: 1\r\nContent-Length: 2\r\n"), "Content-Length is given twice"},
      {Post("Content-Length: 1\r\ncontent-length: 1\r\n"), "Content-Length is given twice"},
      {Post("Content-Length: +1\r\n"), "Content-Length is not a number"},
      {Post("Content-Length: -1\r\n"), "Content-Length is not a number"},
      {Post("Content-Length: 1,1\r\n"), "Content-Length is not a number"},
      {Post("Content-Length: 1 1\r\n"), "Content-Length is not a number"},
      {Post("Content-Length: 0x10\r\n"), "Content-Length is not a number"},
      {Post("Content-Length:\r\n"), "Content-Length is not a number"},
      {Post("Content-Length: 9223372036854775808\r\n"), "Content-Length is beyond every bound"},
      {Post("Content-Length: 18446744073709551617\r\n"), "Content-Length is beyond every bound"},
      {Post("Transfer-Encoding: chunked, gzip\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding: gzip, chunked\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding: gzip\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding: xchunked\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding: \"chunked\"\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding: identity\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding:\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post("Transfer-Encoding: chunked, chunked\r\n"), "Transfer-Encoding is not exactly chunked"},
      {Post(kChunked + kChunked), "Transfer-Encoding is given twice"},
      {Head("POST / HTTP/1.0", "Host: a\r\n" + kChunked), "Transfer-Encoding is not part of HTTP/1.0"},
      // Lines.
      {Post("A: b\r\n c\r\n"), "folded lines"},
      {Post("A: b\r\n\tc: d\r\n"), "folded lines"},
      {Head("GET / HTTP/1.1", " Host: a\r\n"), "folded lines"},
      {Post("Transfer-Encoding : chunked\r\n"), "whitespace before its colon"},
      {Post("Transfer-Encoding\t: chunked\r\n"), "whitespace before its colon"},
      {Post("A b: c\r\n"), "whitespace before its colon"},
      {Post("Transfer-Encoding chunked\r\n"), "has no colon"},
      {Post("abc\r\n"), "has no colon"},
      {Post(": b\r\n"), "has no name"},
      {Post("A(: b\r\n"), "name is not a token"},
      {Post("\xC3\xA4: b\r\n"), "name is not a token"},
      {Post("A\0: b\r\n"s), "a NUL byte"},
      {Post("A: b\0c\r\n"s), "a NUL byte"},
      {Post("A: b\x01"
            "c\r\n"),
       "a control byte"},
      {Post("A: b\x7F\r\n"), "a control byte"},
      {Post("A: b\rc\r\n"), "a bare CR"},
      {Post("A: b\r\r\n"), "a bare CR"},
      {Post("A: b\nContent-Length: 1\r\n"), "a bare LF"},
      {Head("GET /\r HTTP/1.1"), "a bare CR"},
      {Head("GET /\n HTTP/1.1"), "a bare LF"},
      {Head("GET /\0 HTTP/1.1"s), "a NUL byte"},
      {"GET / HTTP/1.1\nHost: a\r\n\r\n", "a bare LF"},
      // Host.
      {Head("GET / HTTP/1.1", ""), "Host is missing"},
      {Head("GET http://b/ HTTP/1.1", ""), "Host is missing"},
      {Post("host: a\r\n"), "Host is given twice"},
      {Head("GET / HTTP/1.0", "Host: a\r\nHost: b\r\n"), "Host is given twice"},
      {Head("GET / HTTP/1.1", "Host: a b\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: a/b\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: u@a\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: a:b\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: a:1:2\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: [::1\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: []\r\n"), "Host is not a host and port"},
      {Head("GET / HTTP/1.1", "Host: [::1]x\r\n"), "Host is not a host and port"},
      // Request line.
      {Head("GET / http/1.1"), "does not end in an HTTP version"},
      {Head("GET / HTTP/2.0"), "HTTP version is neither"},
      {Head("GET / HTTP/1.2"), "HTTP version is neither"},
      {Head("GET / HTTP/1.10"), "HTTP version is neither"},
      {Head("GET / HTTP/1.1 "), "a space too many"},
      {Head("GET / x HTTP/1.1"), "a space too many"},
      {Head("GET /  HTTP/1.1"), "a space too many"},
      {Head("GET  / HTTP/1.1"), "two spaces behind the method"},
      {Head(" GET / HTTP/1.1"), "begins with a space"},
      {Head("GET\t/ HTTP/1.1"), "holds a tab"},
      {Head("GET"), "has no target"},
      {Head("GET /"), "has no HTTP version"},
      {Head("G(T / HTTP/1.1"), "method is not a token"},
      {Head("GET x HTTP/1.1"), "does not begin with a slash"},
      {Head("CONNECT a:443 HTTP/1.1"), "does not begin with a slash"},
      {Head("GET ftp://a/ HTTP/1.1"), "does not begin with a slash"},
      {Head("GET * HTTP/1.1"), "OPTIONS only"},
      {Head("GET /a#b HTTP/1.1"), "a fragment"},
      {Head("GET /\xC3\xA4 HTTP/1.1"), "not ASCII"},
      {Head("GET http:/// HTTP/1.1"), "names no proper host"},
      {Head("GET http://u@a/ HTTP/1.1"), "names no proper host"},
      // The rest.
      {Post("Connection: a b\r\n"), "Connection holds an option"},
      {"GET / HTTP/1.1\r\nHost: a\r\n", "does not end in an empty line"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r", "does not end in an empty line"},
      {"", "does not end in an empty line"},
      {Post("") + "GET", "bytes follow the empty line"},
  };
  for (const Case& c : cases) {
    const auto request = ParseRequestHead(c.head);
    ASSERT_FALSE(request) << c.head;
    EXPECT_EQ(request.error().code, Errc::kMalformed) << c.head;
    EXPECT_THAT(request.error().what, HasSubstr(c.what)) << c.head;
  }
}

TEST(ParseRequestHead, BoundsTheNumberOfFields) {
  std::string fields;
  for (std::size_t i = 1; i < kMaxHeaderFields; ++i) fields += "A: b\r\n";
  EXPECT_TRUE(ParseRequestHead(Post(fields)));
  const auto over = ParseRequestHead(Post(fields + "A: b\r\n"));
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Errc::kTooLarge);
  EXPECT_THAT(over.error().what, HasSubstr("more than 100 fields"));
}

TEST(ParseRequestHead, RefusesEveryTruncation) {
  const std::string head = Post("Content-Length: 3\r\n");
  ASSERT_TRUE(ParseRequestHead(head));
  for (std::size_t length = 0; length < head.size(); ++length) {
    EXPECT_FALSE(ParseRequestHead(std::string_view(head).substr(0, length))) << length;
  }
}

TEST(ParseRequestHead, RefusesEveryControlByteEverywhere) {
  const std::string head = Post("A: b\r\n");
  for (std::size_t at = 0; at <= head.size(); ++at) {
    for (const char byte : {'\0', '\x01', '\x0B', '\x0C', '\x1F', '\x7F', '\r', '\n'}) {
      // An LF before, or a CR before, an existing CRLF is a bare one too; only an empty line in front is let through.
      std::string broken = head;
      broken.insert(at, 1, byte);
      EXPECT_FALSE(ParseRequestHead(broken)) << "byte " << static_cast<int>(byte) << " at " << at;
    }
  }
}

TEST(FindHeadEnd, FindsItHoweverTheBytesArrive) {
  for (const std::string& head : {Post("A: b\r\n"), "\r\n" + Post(""), "GET / HTTP/1.0\r\n\r\n"s}) {
    const std::string stream = head + "body\r\n\r\n";
    for (std::size_t seen = 0; seen <= stream.size(); ++seen) {
      for (std::size_t next = seen; next <= stream.size(); ++next) {
        const auto first = FindHeadEnd(std::string_view(stream).substr(0, seen), 0);
        ASSERT_TRUE(first);
        if (seen >= head.size()) {
          EXPECT_EQ(*first, head.size());
          continue;
        }
        EXPECT_EQ(*first, std::nullopt);
        const auto second = FindHeadEnd(std::string_view(stream).substr(0, next), seen);
        ASSERT_TRUE(second);
        EXPECT_EQ(*second, next >= head.size() ? std::optional(head.size()) : std::nullopt) << seen << ' ' << next;
      }
    }
  }
}

TEST(FindHeadEnd, RefusesABareLfAtOnce) {
  for (const std::string_view text : {"GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n\n", "\n", "A\r\nB\r\n\n"}) {
    for (std::size_t seen = 0; seen <= text.find('\n'); ++seen) {
      const auto end = FindHeadEnd(text, seen);
      ASSERT_FALSE(end) << text;
      EXPECT_EQ(end.error().code, Errc::kMalformed);
      EXPECT_THAT(end.error().what, HasSubstr("a bare LF"));
    }
  }
}

TEST(FindHeadEnd, IsNotFooledByTwoEmptyLines) {
  const auto end = FindHeadEnd("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0);
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, 4u);
  EXPECT_FALSE(ParseRequestHead("\r\n\r\n"));
}

}  // namespace
}  // namespace lazaret::wire
