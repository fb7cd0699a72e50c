#include "wire/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/percent.h"

namespace lazaret::wire {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using namespace std::string_literals;

TEST(Query, ReadsParameters) {
  struct Case {
    std::string_view raw;
    std::vector<Query::Parameter> expected;
  };
  const Case cases[] = {
      {"", {}},
      {"&&", {}},
      {"on_infected=403&wait=5", {{"on_infected", "403"}, {"wait", "5"}}},
      {"&a=1&&b&", {{"a", "1"}, {"b", ""}}},
      {"a=", {{"a", ""}}},
      {"=a", {{"", "a"}}},
      {"a=b=c", {{"a", "b=c"}}},
      {"a+b=c+%2B%2b", {{"a b", "c ++"}}},
      {"%61%3D%26=%00%ff", {{"a=&", "\0\xFF"s}}},
      {"a=1&a=2", {{"a", "1"}, {"a", "2"}}},
  };
  for (const Case& c : cases) {
    const auto query = Query::Parse(c.raw);
    ASSERT_TRUE(query) << c.raw;
    EXPECT_THAT(query->parameters(), ElementsAreArray(c.expected)) << c.raw;
  }
}

TEST(Query, FindsWhatIsGivenOnce) {
  const auto query = Query::Parse("a=1&b&c=2&c=2&A=3");
  ASSERT_TRUE(query);
  EXPECT_EQ(**query->Find("a"), "1");
  EXPECT_EQ(**query->Find("b"), "");
  EXPECT_EQ(*query->Find("d"), std::nullopt);
  const auto twice = query->Find("c");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::kMalformed);
  EXPECT_EQ(twice.error().what, "query parameter c is given twice");
}

TEST(Query, RefusesBrokenPercentEncoding) {
  for (const std::string_view raw :
       {"%", "a=%", "a=%4", "a=%4g", "a=%g4", "a%=1", "a=%%41", "a=% 41", "b=1&a=%4&c=1"}) {
    const auto query = Query::Parse(raw);
    ASSERT_FALSE(query) << raw;
    EXPECT_EQ(query.error().code, Errc::kMalformed);
    EXPECT_THAT(query.error().what, HasSubstr("query: a % is not followed by two hexadecimal digits"));
  }
}

TEST(Query, BoundsTheNumberOfParameters) {
  std::string raw = "a";
  for (std::size_t i = 1; i < kMaxQueryParameters; ++i) raw += "&a";
  EXPECT_EQ(Query::Parse(raw)->parameters().size(), kMaxQueryParameters);
  EXPECT_TRUE(Query::Parse(raw + "&&"));
  const auto over = Query::Parse(raw + "&b");
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Errc::kTooLarge);
  EXPECT_EQ(over.error().what, "the query has more than 32 parameters");
}

TEST(PercentEncode, IsUndoneByDecoding) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  EXPECT_EQ(PercentDecode(PercentEncode(every_byte)), every_byte);
  EXPECT_EQ(PercentDecode(PercentEncode(every_byte), Plus::kIsSpace), every_byte);
  EXPECT_EQ(PercentEncode("aZ09-._~ &=+%\xff"), "aZ09-._~%20%26%3D%2B%25%FF");
}

TEST(PercentDecode, KeepsAPlusUnlessToldOtherwise) {
  EXPECT_EQ(PercentDecode("a+%20b"), "a+ b");
  EXPECT_EQ(PercentDecode("a+%20b", Plus::kIsSpace), "a  b");
}

}  // namespace
}  // namespace lazaret::wire
