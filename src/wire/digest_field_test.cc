#include "wire/digest_field.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lazaret::wire {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

// RFC 9530, appendix B.1: {"hello": "world"} and a line feed.
constexpr std::string_view kBase64 = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg";
constexpr std::string_view kContent = "{\"hello\": \"world\"}\n";
// The same of the empty content.
constexpr std::string_view kOther = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

std::string Sha256Member(std::string_view base64 = kBase64) { return "sha-256=:" + std::string(base64) + "=:"; }

TEST(FormatReprDigest, WritesTheExampleOfRfc9530) {
  EXPECT_EQ(FormatReprDigest(Sha256::Of(AsBytes(kContent))), Sha256Member());
}

TEST(ParseReprDigest, ReadsBackWhatFormatWrites) {
  for (int i = 0; i < 256; ++i) {
    std::array<std::byte, Digest::kSize> bytes;
    for (std::size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<std::byte>(i * (at + 1));
    const auto digest = ParseReprDigest(FormatReprDigest(Digest(bytes)));
    ASSERT_TRUE(digest);
    EXPECT_EQ(*digest, Digest(bytes));
  }
}

TEST(ParseReprDigest, FindsTheSha256Member) {
  const Digest digest = Sha256::Of(AsBytes(kContent));
  const std::string member = Sha256Member();
  const std::string good[] = {
      member,
      "  " + member + "  ",
      "sha-512=:AAAA:, " + member,
      member + "\t ,\t*md5=:AA:",
      member + ";a;b=1;  c=\"d\\\"\\\\\";e=?0;f=:AA==:;g=t/o:k*",
      Sha256Member(kOther) + ", " + member,
      "sha-256=:AAAA:, " + member,
      "sha-256, " + member,
      "sha-256=:" + std::string(kBase64) + ":",
      "a, b=?1, c=1.5, d=-1, e=\"x,y\", f=tok, g=(1 \"a\";p  :AA==: );q=2, h=(), sha-256a=1, i=123456789012345, "
      "j=123456789012.123, " +
          member,
  };
  for (const std::string& value : good) {
    const auto parsed = ParseReprDigest(value);
    ASSERT_TRUE(parsed) << value << ": " << parsed.error().what;
    EXPECT_EQ(*parsed, digest) << value;
  }
}

TEST(ParseReprDigest, IsEmptyWithoutASha256Member) {
  for (const std::string_view value : {"", "   ", "sha-512=:AAAA:", "sha-256-x=:AAAA:, md5", "*=1"}) {
    const auto parsed = ParseReprDigest(value);
    ASSERT_TRUE(parsed) << value;
    EXPECT_EQ(*parsed, std::nullopt) << value;
  }
}

TEST(ParseReprDigest, RefusesWhatItShould) {
  struct Case {
    std::string value;
    std::string_view what;
  };
  const Case cases[] = {
      {"sha-256=:" + std::string(42, 'A') + ":", "sha-256 has 31 bytes"},
      {"sha-256=:" + std::string(44, 'A') + ":", "sha-256 has 33 bytes"},
      {"sha-256=::", "sha-256 has 0 bytes"},
      {Sha256Member() + ", sha-256=:AAAA:", "sha-256 has 3 bytes"},
      {"sha-256", "sha-256 is not a byte sequence"},
      {"sha-256=1", "sha-256 is not a byte sequence"},
      {"sha-256=\"" + std::string(kBase64) + "=\"", "sha-256 is not a byte sequence"},
      {"sha-256=(:AAAA:)", "sha-256 is not a byte sequence"},
      {Sha256Member() + ", sha-256=?1", "sha-256 is not a byte sequence"},
      {"SHA-256=:AAAA:", "a key does not begin with a lower-case letter"},
      {"=:AAAA:", "a key does not begin with a lower-case letter"},
      {"\t" + Sha256Member(), "a key does not begin with a lower-case letter"},
      {Sha256Member() + ";A", "a key does not begin with a lower-case letter"},
      {Sha256Member() + ";", "a key does not begin with a lower-case letter"},
      {",", "a key does not begin with a lower-case letter"},
      {Sha256Member() + ",,a", "a key does not begin with a lower-case letter"},
      {Sha256Member() + ",", "a comma ends the list"},
      {Sha256Member() + ", ", "a comma ends the list"},
      {Sha256Member() + " a", "not followed by a comma"},
      {Sha256Member() + "a", "not followed by a comma"},
      {Sha256Member() + " ;a", "not followed by a comma"},
      {"sha-512 =:AAAA:", "not followed by a comma"},
      {"sHA-256=:AAAA:", "not followed by a comma"},
      {"a=", "a value is missing"},
      {"a;b=", "a value is missing"},
      {"a=(1", "an inner list is not closed"},
      {"a=(1,2)", "an inner list is not closed"},
      {"a=(", "a value is missing"},
      {"a=((1))", "a value is of no known type"},
      {"a=b;c=(1)", "a value is of no known type"},
      {"a= 1", "a value is of no known type"},
      {"a=@1", "a value is of no known type"},
      {"a=:AAAA", "not closed by a colon"},
      {"a=:A:", "not base64"},
      {"a=:AA=:", "not base64"},
      {"a=:AAA==:", "not base64"},
      {"a=:AA===:", "not base64"},
      {"a=:AAAA====:", "not base64"},
      {"a=:AA=A:", "not base64"},
      {"a=:====:", "not base64"},
      {"a=:AA-_:", "not base64"},
      {"a=:AA AA:", "not base64"},
      {"a=:AA\0A:"s, "not base64"},
      {"a=\"b", "a string is not closed"},
      {"a=\"b\\", "a string is not closed"},
      {"a=\"\\n\"", "unknown escape"},
      {"a=\"\xC3\xA4\"", "not visible ASCII"},
      {"a=\"\t\"", "not visible ASCII"},
      {"a=?2", "neither ?0 nor ?1"},
      {"a=?", "neither ?0 nor ?1"},
      {"a=-", "a number has no digits"},
      {"a=1.", "a number has no digits"},
      {"a=-.5", "a number has no digits"},
      {"a=1.1234", "too many"},
      {"a=1234567890123456", "too many"},
      {"a=1234567890123.1", "too many"},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseReprDigest(c.value);
    ASSERT_FALSE(parsed) << c.value;
    EXPECT_EQ(parsed.error().code, Errc::kMalformed);
    EXPECT_THAT(parsed.error().what, HasSubstr(c.what)) << c.value;
  }
}

TEST(ParseReprDigest, RefusesEveryTruncation) {
  const std::string member = Sha256Member();
  for (std::size_t length = 1; length < member.size(); ++length) {
    const auto parsed = ParseReprDigest(std::string_view(member).substr(0, length));
    EXPECT_TRUE(!parsed || !*parsed) << length;
    if (length > std::string_view("sha-256").size()) {
      EXPECT_FALSE(parsed) << length;
    }
  }
}

}  // namespace
}  // namespace lazaret::wire
