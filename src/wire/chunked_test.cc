#include "wire/chunked.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lazaret::wire {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

struct Decoded {
  std::string content;
  std::size_t consumed = 0;
  bool done = false;
  std::optional<Error> error;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

void PrintTo(const Decoded& d, std::ostream* out) {
  *out << '"' << d.content << "\" consumed " << d.consumed << (d.done ? " done " : " not done ")
       << (d.error ? d.error->what : "");
}

// Feeds `pieces` one after the other, as a connection would.
Decoded Decode(const std::vector<std::string_view>& pieces) {
  ChunkedDecoder decoder;
  Decoded out;
  for (const std::string_view piece : pieces) {
    Bytes rest = AsBytes(piece);
    while (!rest.empty() && !out.done) {
      const auto step = decoder.Feed(rest);
      if (!step) {
        EXPECT_EQ(decoder.Feed(AsBytes("0\r\n\r\n")).error(), step.error()) << "an error lasts";
        out.error = step.error();
        return out;
      }
      if (step->consumed == 0 && !step->done) {
        ADD_FAILURE() << "no progress";
        return out;
      }
      out.content += AsText(step->data);
      out.consumed += step->consumed;
      out.done = step->done;
      rest = rest.subspan(step->consumed);
    }
  }
  return out;
}

// What `body` decodes to, checked to be the same for every split in two and byte by byte. `consumed` of a refused body
// depends on the split and is not compared.
Decoded DecodeInEveryWay(std::string_view body) {
  Decoded whole = Decode({body});
  if (whole.error) whole.consumed = 0;
  const auto same = [&](const std::vector<std::string_view>& pieces) {
    Decoded other = Decode(pieces);
    if (other.error) other.consumed = 0;
    EXPECT_EQ(other, whole) << "first piece of " << pieces[0].size();
  };
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < body.size(); ++at) {
    same({body.substr(0, at), body.substr(at)});
    bytes.push_back(body.substr(at, 1));
  }
  if (!bytes.empty()) same(bytes);
  return whole;
}

TEST(ChunkedDecoder, DecodesWhatItShould) {
  struct Case {
    std::string body, content;
  };
  const Case cases[] = {
      {"0\r\n\r\n", ""},
      {"0000000000000000\r\n\r\n", ""},
      {"3\r\nabc\r\n0\r\n\r\n", "abc"},
      {"A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij"},
      {"0000000000000003\r\n\r\n\0\r\n0\r\n\r\n"s, "\r\n\0"s},
      {"3;name=value\r\nabc\r\n0;last\r\n\r\n", "abc"},
      {"3 ; a = \"b\xFF;c\"\t;d\r\nabc\r\n0\r\n\r\n", "abc"},
      {"3\r\nabc\r\n0\r\nChecksum: 1\r\nX-Empty:\r\n\r\n", "abc"},
  };
  for (const Case& c : cases) {
    const Decoded decoded = DecodeInEveryWay(c.body);
    EXPECT_EQ(decoded.error, std::nullopt) << c.body;
    EXPECT_EQ(decoded.content, c.content) << c.body;
    EXPECT_TRUE(decoded.done) << c.body;
    EXPECT_EQ(decoded.consumed, c.body.size()) << c.body;
    for (std::size_t length = 0; length < c.body.size(); ++length) {
      EXPECT_FALSE(Decode({std::string_view(c.body).substr(0, length)}).done) << c.body << " cut at " << length;
    }
  }
}

TEST(ChunkedDecoder, LeavesTheNextRequestAlone) {
  const Decoded decoded = DecodeInEveryWay("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.consumed, "1\r\nx\r\n0\r\n\r\n"s.size());

  ChunkedDecoder decoder;
  ASSERT_TRUE(decoder.Feed(AsBytes("0\r\n\r\n"))->done);
  const auto again = decoder.Feed(AsBytes("0\r\n"));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->done);
  EXPECT_EQ(again->consumed, 0u);
}

TEST(ChunkedDecoder, HandsOutContentWithoutCopyingIt) {
  const std::string body = "3\r\nabc\r\n0\r\n\r\n";
  ChunkedDecoder decoder;
  const auto step = decoder.Feed(AsBytes(body));
  ASSERT_TRUE(step);
  EXPECT_EQ(AsText(step->data).data(), body.data() + 3);
  EXPECT_EQ(step->consumed, 6u);
}

TEST(ChunkedDecoder, RefusesWhatItShould) {
  struct Case {
    std::string body;
    std::string_view what;
  };
  const Case cases[] = {
      {"\r\n", "chunk size is missing"},
      {" 3\r\nabc\r\n", "chunk size is missing"},
      {"+3\r\nabc\r\n", "chunk size is missing"},
      {"-3\r\nabc\r\n", "chunk size is missing"},
      {";a\r\n", "chunk size is missing"},
      {"\n", "chunk size is missing"},
      {"3\r\nabc\r\n\r\n", "chunk size is missing"},
      {"0x3\r\nabc\r\n", "not a hexadecimal number"},
      {"3g\r\nabc\r\n", "not a hexadecimal number"},
      {"3\0\r\nabc\r\n"s, "not a hexadecimal number"},
      {"3,\r\nabc\r\n", "not a hexadecimal number"},
      {"8000000000000000\r\n", "beyond every bound"},
      {"ffffffffffffffff\r\n", "beyond every bound"},
      {"00000000000000003\r\nabc\r\n", "more than 16 digits"},
      {"10000000000000003\r\nabc\r\n", "more than 16 digits"},
      {"3\nabc\r\n", "size line ends in a bare LF"},
      {"3;a\nabc\r\n", "size line ends in a bare LF"},
      {"3 \nabc\r\n", "size line ends in a bare LF"},
      {"3\rabc\r\n", "size line ends in a bare CR"},
      {"3;a\rb\r\nabc\r\n", "size line ends in a bare CR"},
      {"3 \r\nabc\r\n", "whitespace follows the chunk size"},
      {"3 a\r\nabc\r\n", "whitespace follows the chunk size"},
      {"3;a\0\r\n"s, "extension holds a control byte"},
      {"3;a\x7F\r\n", "extension holds a control byte"},
      {"3\r\nabcd\r\n", "longer than its size"},
      {"3\r\nabc\n0\r\n\r\n", "longer than its size"},
      {"3\r\nabc0\r\n\r\n", "longer than its size"},
      {"3\r\nabc\r0\r\n", "chunk ends in a bare CR"},
      {"0\r\n\n", "trailer line ends in a bare LF"},
      {"0\r\n\r\r\n", "body ends in a bare CR"},
      {"0\r\nA: b\n\r\n", "trailer line ends in a bare LF"},
      {"0\r\nA: b\rC: d\r\n\r\n", "trailer line ends in a bare CR"},
      {"0\r\nA: \0\r\n\r\n"s, "trailer holds a control byte"},
      {"0\r\nA b: c\r\n\r\n", "not a field"},
      {"0\r\n: c\r\n\r\n", "not a field"},
      {"0\r\n folded\r\n\r\n", "not a field"},
      {"0\r\nA: b\r\n c\r\n\r\n", "not a field"},
      {"0\r\nGET\r\n\r\n", "not a field"},
      {"0\r\nGET / HTTP/1.1\r\n\r\n", "not a field"},
  };
  for (const Case& c : cases) {
    const Decoded decoded = DecodeInEveryWay(c.body);
    ASSERT_TRUE(decoded.error) << c.body;
    EXPECT_EQ(decoded.error->code, Errc::kMalformed) << c.body;
    EXPECT_THAT(decoded.error->what, HasSubstr(c.what)) << c.body;
  }
}

TEST(ChunkedDecoder, TakesTheLargestChunkSize) {
  ChunkedDecoder decoder;
  const auto step = decoder.Feed(AsBytes("7fffffffffffffff\r\nabc"));
  ASSERT_TRUE(step) << step.error().what;
  EXPECT_EQ(AsText(step->data), "abc");
}

TEST(ChunkedDecoder, BoundsTheExtensionOfEachChunk) {
  const std::string extension = ";" + std::string(kMaxChunkExtensionBytes - 1, 'x');
  EXPECT_TRUE(Decode({"1" + extension + "\r\na\r\n0" + extension + "\r\n\r\n"}).done);
  const Decoded over = Decode({"1" + extension + "x\r\na\r\n0\r\n\r\n"});
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Errc::kTooLarge);
  EXPECT_THAT(over.error->what, HasSubstr("extension is longer than 256 bytes"));
}

TEST(ChunkedDecoder, BoundsTheTrailer) {
  // The CR of each line counts, its LF does not.
  const std::string first = "A: " + std::string(1000, 'x') + "\r\n";
  const std::string second = "B: " + std::string(kMaxTrailerBytes - (first.size() - 1) - 4, 'y');
  EXPECT_TRUE(Decode({"0\r\n" + first + second + "\r\n\r\n"}).done);
  const Decoded over = Decode({"0\r\n" + first + second + "y\r\n\r\n"});
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Errc::kTooLarge);
  EXPECT_THAT(over.error->what, HasSubstr("trailer is longer than 8 KiB"));
}

}  // namespace
}  // namespace lazaret::wire
