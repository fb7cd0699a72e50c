#include "wire/part_headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lazaret::wire {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

// `headers` are lines that each end in CRLF.
Result<PartHeaders> Read(std::string_view headers) {
  PartHeaderReader reader;
  while (!headers.empty()) {
    const std::size_t end = headers.find("\r\n");
    if (auto added = reader.Add(headers.substr(0, end)); !added) return std::unexpected(added.error());
    headers.remove_prefix(end + 2);
  }
  return reader.Finish();
}

TEST(PartHeaderReader, ReadsHeaders) {
  struct Case {
    std::string headers;
    PartHeaders expected;
  };
  const std::string a = "Content-Disposition: form-data; name=a";
  const Case cases[] = {
      {a + "; filename=b.txt\r\n", {"a", "b.txt", ""}},
      {a + "; filename=\"\"\r\n", {"a", "", ""}},
      {"content-disposition:FORM-DATA;NAME=\"\";\tFileName=\"x y\" ; \r\n", {"", "x y", ""}},
      {a + "; filename=\"a\\\"b\\\\c\"\r\n", {"a", "a\"b\\c", ""}},
      {a + "; filename=\"C:\\dir\\new.txt\"\r\n", {"a", "C:\\dir\\new.txt", ""}},
      {a + "; filename=\"../a;b=%22c%2F\"\r\n", {"a", "../a;b=\"c%2F", ""}},
      {a + "; filename=\"gr\xC3\xBC\xC3\x9F\"\r\n", {"a", "gr\xC3\xBC\xC3\x9F", ""}},
      {a + "; filename=\"ASCII\"; filename*=utf-8''gr%C3%BC%c3%9f\r\n", {"a", "gr\xC3\xBC\xC3\x9F", ""}},
      {a + "; filename*=UTF-8'de'a%22.b; filename=c\r\n", {"a", "a\".b", ""}},
      {"Content-Disposition: form-data; name=\"%22\"\r\n", {"\"", std::nullopt, ""}},
      {"Content-Type: a/b; c=\"d\"\r\n" + a + "\r\nX-Other:\r\n", {"a", std::nullopt, "a/b; c=\"d\""}},
      {a + "\r\nContent-Type: multipart/mixed; boundary=Y\r\n", {"a", std::nullopt, "multipart/mixed; boundary=Y"}},
      {a + "\r\nContent-Transfer-Encoding: Binary\r\n", {"a", std::nullopt, ""}},
      {a + "\r\nContent-Transfer-Encoding: 8bit\r\n", {"a", std::nullopt, ""}},
      {a + "\r\nContent-Transfer-Encoding: 7BIT\r\n", {"a", std::nullopt, ""}},
  };
  for (const Case& c : cases) {
    const auto headers = Read(c.headers);
    ASSERT_TRUE(headers) << c.headers << headers.error().what;
    EXPECT_EQ(*headers, c.expected) << c.headers;
  }
}

TEST(PartHeaderReader, RefusesWhatItShould) {
  struct Case {
    std::string headers;
    std::string_view what;
  };
  const std::string a = "Content-Disposition: form-data; name=a";
  const Case cases[] = {
      {"", "Content-Disposition is missing"},
      {"Content-Type: a/b\r\n", "Content-Disposition is missing"},
      {"Content-Disposition: attachment; name=a\r\n", "Content-Disposition is not form-data"},
      {"Content-Disposition:\r\n", "Content-Disposition is not form-data"},
      {"Content-Disposition: form-data\r\n", "Content-Disposition has no name"},
      {"Content-Disposition: form-data; filename=a\r\n", "Content-Disposition has no name"},
      {a + "\r\n" + a + "\r\n", "Content-Disposition is given twice"},
      {a + "; name=b\r\n", "parameter name is given twice"},
      {a + "; FileName=b; filename=c\r\n", "parameter filename is given twice"},
      {a + "; filename=\"b\r\n", "a quoted string is not closed"},
      {a + "; filename=\"b\\\"\r\n", "a quoted string is not closed"},
      {a + "; filename\r\n", "parameter filename has no value"},
      {a + "; filename =b\r\n", "parameter filename has no value"},
      {a + "; filename= b\r\n", "parameter filename is neither a token nor a quoted string"},
      {a + "; filename=b c\r\n", "a parameter is not followed by a semicolon"},
      {a + "; filename=\"b\"c\r\n", "a parameter is not followed by a semicolon"},
      {a + "; =b\r\n", "a parameter has no name"},
      {a + "; filename*=b\r\n", "filename* does not begin with a character set"},
      {a + "; filename*=utf-8'b\r\n", "filename* does not begin with a character set"},
      {a + "; filename*=ISO-8859-1''b\r\n", "filename* is not in UTF-8"},
      {a + "; filename*=UTF-8''%4\r\n", "filename*: a % is not followed by two hexadecimal digits"},
      {a + "; filename*=\"UTF-8''a b\"\r\n", "filename* holds a character that must be percent-encoded"},
      {a + "; filename*=UTF-8''a%00b\r\n", "filename* holds a NUL byte"},
      {a + "\r\nContent-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding is none of"},
      {a + "\r\nContent-Transfer-Encoding: quoted-printable\r\n", "Content-Transfer-Encoding is none of"},
      {a + "\r\nContent-Transfer-Encoding:\r\n", "Content-Transfer-Encoding is none of"},
      {a + "\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n", "Content-Type is given twice"},
      {a + ";\r\n filename=b\r\n", "folded lines are not accepted"},
      {" " + a + "\r\n", "folded lines are not accepted"},
      {a + "\r\nno colon\r\n", "a header line has no colon"},
      {a + "\r\n: b\r\n", "a header name is not a token"},
      {a + "\r\nContent-Type : b\r\n", "a header name is not a token"},
      {a + "\rb: c\r\n", "a header holds a bare CR"},
      {a + "\r\r\n", "a header holds a bare CR"},
      {a + "; filename=\"a\0b\"\r\n"s, "a header holds a NUL byte"},
      {a + "\r\nb: \x1B\r\n", "a header holds a control byte"},
  };
  for (const Case& c : cases) {
    const auto headers = Read(c.headers);
    ASSERT_FALSE(headers) << c.headers;
    EXPECT_EQ(headers.error().code, Errc::kMalformed) << c.headers;
    EXPECT_THAT(headers.error().what, HasSubstr(c.what)) << c.headers;
  }
}

TEST(PartHeaderReader, BoundsTheNumberOfFields) {
  std::string headers = "Content-Disposition: form-data; name=a\r\n";
  for (std::size_t i = 1; i < kMaxPartHeaderFields; ++i) headers += "B: c\r\n";
  EXPECT_TRUE(Read(headers));
  const auto over = Read(headers + "B: c\r\n");
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Errc::kTooLarge);
  EXPECT_EQ(over.error().what, "it has more than 32 header fields");
}

}  // namespace
}  // namespace lazaret::wire
