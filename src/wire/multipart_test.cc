#include "wire/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lazaret::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;

struct Part {
  PartHeaders headers;
  std::string content;
  bool ended = false;
  friend bool operator==(const Part&, const Part&) = default;
};

struct Parsed {
  std::vector<Part> parts;
  bool ended = false;
  std::optional<Error> error;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

void PrintTo(const Parsed& parsed, std::ostream* out) {
  for (const Part& part : parsed.parts) *out << part.headers.name << "=\"" << part.content << "\" ";
  *out << (parsed.ended ? "end " : "") << (parsed.error ? parsed.error->what : "");
}

Parsed Parse(const std::vector<std::string_view>& pieces, std::string_view boundary, std::size_t max_parts) {
  MultipartParser parser(boundary, max_parts);
  Parsed out;
  for (const std::string_view piece : pieces) {
    // A copy that goes away with the piece: the sanitizers see whoever looks at it later.
    const std::vector<char> copy(piece.begin(), piece.end());
    parser.Feed(std::as_bytes(std::span(copy)));
    for (;;) {
      const auto event = parser.Next();
      if (!event) {
        EXPECT_EQ(parser.Next().error(), event.error()) << "an error lasts";
        EXPECT_EQ(parser.Finish().error(), event.error());
        out.error = event.error();
        return out;
      }
      if (!*event) break;
      EXPECT_FALSE(out.ended) << "an event behind the end";
      if (const auto* begin = std::get_if<PartBegin>(&**event)) {
        EXPECT_TRUE(out.parts.empty() || out.parts.back().ended);
        out.parts.push_back({*begin, "", false});
      } else if (const auto* data = std::get_if<PartData>(&**event)) {
        EXPECT_FALSE(data->bytes.empty());
        out.parts.back().content += AsText(data->bytes);
      } else if (std::holds_alternative<PartEnd>(**event)) {
        out.parts.back().ended = true;
      } else {
        out.ended = true;
      }
    }
  }
  if (const auto finished = parser.Finish(); !finished) out.error = finished.error();
  return out;
}

// What `body` holds, checked to be the same for every split in two and byte by byte.
Parsed ParseInEveryWay(std::string_view body, std::string_view boundary = "X", std::size_t max_parts = 10) {
  const Parsed whole = Parse({body}, boundary, max_parts);
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < body.size(); ++at) {
    EXPECT_EQ(Parse({body.substr(0, at), body.substr(at)}, boundary, max_parts), whole) << "split at " << at;
    bytes.push_back(body.substr(at, 1));
  }
  EXPECT_EQ(Parse(bytes, boundary, max_parts), whole) << "byte by byte";
  return whole;
}

constexpr std::string_view kA = "Content-Disposition: form-data; name=a\r\n\r\n";

// A body with one part of that content.
std::string BodyWith(std::string_view content) {
  return "--X\r\n" + std::string(kA) + std::string(content) + "\r\n--X--\r\n";
}

// A body with one empty part of those headers.
std::string BodyWithHeaders(std::string_view headers) { return "--X\r\n" + std::string(headers) + "\r\n\r\n--X--\r\n"; }

TEST(MultipartParser, ReadsWhatABrowserSends) {
  const std::string body =
      "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
      "Content-Disposition: form-data; name=\"comment\"\r\n\r\n"
      "hello\r\n"
      "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
      "Content-Disposition: form-data; name=\"file\"; filename=\"in%22voice.pdf\"\r\n"
      "Content-Type: application/pdf\r\n\r\n"
      "%PDF\r\n\r\n\0\r\n"
      "------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n"s;
  const Parsed parsed = ParseInEveryWay(body, "----WebKitFormBoundary7MA4YWxkTrZu0gW");
  EXPECT_EQ(parsed.error, std::nullopt);
  EXPECT_TRUE(parsed.ended);
  EXPECT_THAT(parsed.parts, ElementsAre(Part{{"comment", std::nullopt, ""}, "hello", true},
                                        Part{{"file", "in\"voice.pdf", "application/pdf"}, "%PDF\r\n\r\n\0"s, true}));
}

TEST(MultipartParser, GivesContentThatLooksLikeABoundaryBack) {
  // "--X" at the very front is missing here: there it is a boundary whose line end is that of the empty line above.
  const std::string contents[] = {"",
                                  "x",
                                  "\r",
                                  "\n",
                                  "\r\n",
                                  "\r\n\r\n",
                                  "-",
                                  "a--X--",
                                  "\r\n-X",
                                  "\r\n--",
                                  "\r\n--Y",
                                  "\n--X",
                                  "\r--X",
                                  "\r\r\n--",
                                  "\r\n\r\n--\r\n-",
                                  "\r\n --X",
                                  "\r\n--x",
                                  "\r\n--\r\n--\r",
                                  "a--X\r\nb",
                                  "\0\r\n\0"s,
                                  std::string(300, '\r'),
                                  std::string(300, '-')};
  for (const std::string& content : contents) {
    const Parsed parsed = ParseInEveryWay(BodyWith(content));
    EXPECT_EQ(parsed.error, std::nullopt) << content;
    EXPECT_TRUE(parsed.ended);
    EXPECT_THAT(parsed.parts, ElementsAre(Part{{"a", std::nullopt, ""}, content, true}));
  }
}

TEST(MultipartParser, ReadsALongBoundarySplitAnywhere) {
  const std::string boundary(70, '-');
  const std::string body =
      "--" + boundary + "\r\n" + std::string(kA) + "\r\n--" + boundary.substr(1) + "\r\n--" + boundary + "--";
  const Parsed parsed = ParseInEveryWay(body, boundary);
  EXPECT_EQ(parsed.error, std::nullopt);
  EXPECT_THAT(parsed.parts, ElementsAre(Part{{"a", std::nullopt, ""}, "\r\n--" + boundary.substr(1), true}));
}

TEST(MultipartParser, ReadsEveryShapeOfFraming) {
  const std::string a(kA);
  struct Case {
    std::string body;
    std::size_t parts;
  };
  const Case cases[] = {
      {"--X--", 0},
      {"--X--\r\n", 0},
      {"\r\n--X--\r\n", 0},
      {"preamble\r\n--X\r\n" + a + "b\r\n--X--\r\nepilogue\r\n--X\r\n", 1},
      {"--X \t\r\n" + a + "b\r\n--X \r\n" + a + "b\r\n--X-- \t", 2},
      {"--X-- \t\r\nepilogue", 0},
      {"--Y\r\n--\r\n--X\r\n" + a + "b\r\n--X--", 1},
      {"X--X\r\n--X\r\n" + a + "b\r\n--X--", 1},
  };
  for (const Case& c : cases) {
    const Parsed parsed = ParseInEveryWay(c.body);
    EXPECT_EQ(parsed.error, std::nullopt) << c.body;
    EXPECT_TRUE(parsed.ended) << c.body;
    EXPECT_EQ(parsed.parts, std::vector<Part>(c.parts, Part{{"a", std::nullopt, ""}, "b", true})) << c.body;
  }
}

TEST(MultipartParser, LetsAnEmptyPartShareItsLineEnd) {
  const Parsed parsed = ParseInEveryWay("--X\r\n" + std::string(kA) + "--X\r\n" + std::string(kA) + "\r\n--X--\r\n");
  EXPECT_EQ(parsed.error, std::nullopt);
  const Part empty{{"a", std::nullopt, ""}, "", true};
  EXPECT_THAT(parsed.parts, ElementsAre(empty, empty));
}

TEST(MultipartParser, FindsBoundariesAtEveryOffset) {
  for (std::size_t size = 0; size < 300; ++size) {
    std::string content;
    while (content.size() < size) content += "\r\n--XY\r\n-";
    content.resize(size);
    const std::string body = "--XYZ\r\n" + std::string(kA) + content + "\r\n--XYZ--";
    const Parsed parsed = Parse({body}, "XYZ", 1);
    EXPECT_EQ(parsed.error, std::nullopt) << size;
    EXPECT_THAT(parsed.parts, ElementsAre(Part{{"a", std::nullopt, ""}, content, true})) << size;
  }
}

TEST(MultipartParser, RefusesBareLineFeedsInHeaders) {
  const std::string a = "Content-Disposition: form-data; name=a";
  for (const std::string& headers : {a + "\nB: c\r\n", a + "\n", "\n" + a + "\r\n"}) {
    const Parsed parsed = ParseInEveryWay(BodyWithHeaders(headers));
    ASSERT_TRUE(parsed.error) << headers;
    EXPECT_EQ(parsed.error->what, "part 1: a header line ends in a bare LF");
  }
}

TEST(MultipartParser, NamesThePartThatIsBroken) {
  const std::string body = "--X\r\n" + std::string(kA) + "b\r\n--X\r\nA: b\r\n\r\n\r\n--X--";
  EXPECT_EQ(ParseInEveryWay(body).error->what, "part 2: Content-Disposition is missing");
}

TEST(MultipartParser, RefusesBodiesWithoutTheirEnd) {
  const std::string body = "--X\r\n" + std::string(kA) + "b\r\n--X--";
  ASSERT_EQ(ParseInEveryWay(body).error, std::nullopt);
  for (std::size_t length = 0; length < body.size(); ++length) {
    const Parsed parsed = ParseInEveryWay(std::string_view(body).substr(0, length));
    ASSERT_TRUE(parsed.error) << length;
    EXPECT_EQ(parsed.error->code, Errc::kMalformed);
    EXPECT_EQ(parsed.error->what, "multipart body ends before its closing boundary") << length;
    EXPECT_FALSE(parsed.ended);
  }
}

TEST(MultipartParser, RefusesLinesThatAreABoundaryOnlyForSome) {
  for (const std::string_view line :
       {"Y", "-", "-\r\n", "-Y", " Y", "\t-", "\rY", "\n", "\r\r\n", " \n", "--Y", "--\n", "-- Y", "--\r\r\n", "---"}) {
    for (const std::string& before : {""s, "--X\r\n" + std::string(kA) + "b\r\n"}) {
      const Parsed parsed = ParseInEveryWay(before + "--X" + std::string(line) + "\r\n");
      ASSERT_TRUE(parsed.error) << line;
      EXPECT_EQ(parsed.error->code, Errc::kMalformed);
      EXPECT_THAT(parsed.error->what, HasSubstr("begins with its boundary and goes on with other text")) << line;
    }
  }
}

TEST(MultipartParser, BoundsTheNumberOfParts) {
  std::string body;
  for (int i = 0; i < 3; ++i) body += "--X\r\n" + std::string(kA) + "b\r\n";
  body += "--X--";
  EXPECT_EQ(ParseInEveryWay(body, "X", 3).error, std::nullopt);
  const Parsed over = ParseInEveryWay(body, "X", 2);
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Errc::kTooLarge);
  EXPECT_EQ(over.error->what, "multipart body has more than 2 parts");
  EXPECT_EQ(over.parts.size(), 2u);
}

TEST(MultipartParser, BoundsTheHeadersOfAPart) {
  const auto with_bytes = [](std::size_t size) {
    const std::string end = std::string(kA);
    return BodyWith("").replace(5, kA.size(), "A: " + std::string(size - end.size() - 5, 'x') + "\r\n" + end);
  };
  EXPECT_EQ(Parse({with_bytes(kMaxPartHeaderBytes)}, "X", 1).error, std::nullopt);
  const Parsed over = Parse({with_bytes(kMaxPartHeaderBytes + 1)}, "X", 1);
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Errc::kTooLarge);
  EXPECT_EQ(over.error->what, "part 1: its headers are longer than 8 KiB");
}

TEST(MultipartParser, BoundsWhatItIgnores) {
  const std::string filler(kMaxMultipartFiller, 'x');
  EXPECT_EQ(Parse({filler + "\r\n--X--\r\n" + filler}, "X", 1).error, std::nullopt);
  const Parsed before = Parse({filler + "x\r\n--X--"}, "X", 1);
  ASSERT_TRUE(before.error);
  EXPECT_EQ(before.error->code, Errc::kTooLarge);
  EXPECT_THAT(before.error->what, HasSubstr("before its first boundary"));
  const Parsed behind = Parse({"--X--\r\nx" + filler}, "X", 1);
  ASSERT_TRUE(behind.error);
  EXPECT_EQ(behind.error->code, Errc::kTooLarge);
  EXPECT_THAT(behind.error->what, HasSubstr("behind its closing boundary"));
}

TEST(MultipartParser, HandsOutContentWithoutCopyingIt) {
  const std::string body = BodyWith("content");
  MultipartParser parser("X", 1);
  parser.Feed(AsBytes(body));
  ASSERT_TRUE(std::holds_alternative<PartBegin>(**parser.Next()));
  const auto event = parser.Next();
  const auto& data = std::get<PartData>(**event);
  EXPECT_EQ(AsText(data.bytes), "content");
  EXPECT_EQ(AsText(data.bytes).data(), body.data() + body.find("content"));
}

TEST(IsMultipart, IsAboutFormDataOnly) {
  for (const std::string_view type :
       {"multipart/form-data", "Multipart/Form-Data ; boundary=x", "multipart/form-data;"}) {
    EXPECT_TRUE(IsMultipart(type)) << type;
  }
  for (const std::string_view type : {"", "multipart/mixed; boundary=x", "multipart/form-data2", "application/pdf",
                                      "a; multipart/form-data", "multipart/form-data, b"}) {
    EXPECT_FALSE(IsMultipart(type)) << type;
  }
}

TEST(ParseBoundary, ReadsTokensAndQuotedStrings) {
  EXPECT_EQ(ParseBoundary("multipart/form-data; boundary=----WebKit1"), "----WebKit1");
  EXPECT_EQ(ParseBoundary("multipart/form-data;charset=utf-8; BOUNDARY=\"a b'()+_,-./:=?\""), "a b'()+_,-./:=?");
  const std::string longest(70, 'x');
  EXPECT_EQ(ParseBoundary("multipart/form-data; boundary=" + longest), longest);
}

TEST(ParseBoundary, RefusesWhatItShould) {
  struct Case {
    std::string type;
    std::string_view what;
  };
  const Case cases[] = {
      {"multipart/mixed; boundary=x", "Content-Type: it is not multipart/form-data"},
      {"multipart/form-data", "it has no boundary"},
      {"multipart/form-data; boundaries=x", "it has no boundary"},
      {"multipart/form-data; boundary=\"\"", "the boundary is empty"},
      {"multipart/form-data; boundary=", "parameter boundary is neither a token nor a quoted string"},
      {"multipart/form-data; boundary=" + std::string(71, 'x'), "longer than 70 characters"},
      {"multipart/form-data; boundary=\"a \"", "ends in a space"},
      {"multipart/form-data; boundary=\"a\\\"b\"", "holds a forbidden character"},
      {"multipart/form-data; boundary=a*b", "holds a forbidden character"},
      {"multipart/form-data; boundary=a:b", "a parameter is not followed by a semicolon"},
      {"multipart/form-data; boundary=a; boundary=a", "parameter boundary is given twice"},
      {"multipart/form-data; boundary=\"a\r\nb\"", "the value holds a bare CR"},
  };
  for (const Case& c : cases) {
    const auto boundary = ParseBoundary(c.type);
    ASSERT_FALSE(boundary) << c.type;
    EXPECT_EQ(boundary.error().code, Errc::kMalformed);
    EXPECT_THAT(boundary.error().what, HasSubstr(c.what)) << c.type;
  }
}

}  // namespace
}  // namespace lazaret::wire
