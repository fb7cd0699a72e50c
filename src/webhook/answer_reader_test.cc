#include "webhook/answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lazaret::webhook {
namespace {

using testing::HasSubstr;

std::string HeadOfSize(std::size_t size) {
  std::string head = "HTTP/1.1 200 OK\r\nX: ";
  head.append(size - head.size() - 4, 'x');
  return head + "\r\n\r\n";
}

TEST(AnswerReader, ReadsTheSameWhereverTheBytesAreCut) {
  const std::string answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
      "HTTP/1.1 207 Multi\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n";
  const std::size_t head_end = answer.find("3;a=b");
  for (std::size_t first = 0; first <= answer.size(); ++first) {
    for (std::size_t second = first; second <= answer.size(); ++second) {
      AnswerReader reader;
      for (const auto& [from, to] : {std::pair(std::size_t{0}, first), {first, second}, {second, answer.size()}}) {
        ASSERT_TRUE(reader.Feed(std::string_view(answer).substr(from, to - from)));
        ASSERT_EQ(reader.status().has_value(), to >= head_end) << first << ' ' << second;
        ASSERT_EQ(reader.is_done(), to == answer.size()) << first << ' ' << second;
      }
      ASSERT_EQ(reader.status(), 207u);
    }
  }
}

TEST(AnswerReader, KnowsAnswersWithoutBody) {
  for (const char* answer :
       {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"}) {
    AnswerReader reader;
    ASSERT_TRUE(reader.Feed(answer));
    EXPECT_TRUE(reader.is_done()) << answer;
  }
}

TEST(AnswerReader, LimitsHeads) {
  AnswerReader whole;
  EXPECT_TRUE(whole.Feed(HeadOfSize(kMaxAnswerHead)));
  EXPECT_EQ(whole.status(), 200u);
  AnswerReader too_long;
  const auto fed = too_long.Feed(HeadOfSize(kMaxAnswerHead + 1));
  ASSERT_FALSE(fed);
  EXPECT_THAT(fed.error().what, HasSubstr("more than 16384 bytes"));
  EXPECT_EQ(too_long.status(), std::nullopt);

  AnswerReader without_end;
  EXPECT_TRUE(without_end.Feed(HeadOfSize(kMaxAnswerHead + 1).substr(0, kMaxAnswerHead)));
  EXPECT_FALSE(without_end.Feed("x"));
  // Interim answers do not come on top.
  AnswerReader two;
  EXPECT_TRUE(two.Feed("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_FALSE(two.Feed(HeadOfSize(kMaxAnswerHead - 24)));
}

TEST(AnswerReader, LimitsInterimAnswers) {
  AnswerReader reader;
  for (std::size_t i = 0; i < kMaxInterimAnswers; ++i) ASSERT_TRUE(reader.Feed("HTTP/1.1 102 Processing\r\n\r\n"));
  const auto fed = reader.Feed("HTTP/1.1 102 Processing\r\n\r\n");
  ASSERT_FALSE(fed);
  EXPECT_THAT(fed.error().what, HasSubstr("interim"));
}

TEST(AnswerReader, IsDoneWithABodyAtItsLimit) {
  for (const char* framing :
       {"Content-Length: 1000000000000\r\n\r\n", "\r\n", "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"}) {
    AnswerReader reader;
    ASSERT_TRUE(reader.Feed(std::string("HTTP/1.1 200 OK\r\n") + framing));
    ASSERT_EQ(reader.status(), 200u);
    for (std::size_t i = 0; i < kMaxAnswerBody / 1024; ++i) ASSERT_TRUE(reader.Feed(std::string(1024, 'x')));
    EXPECT_FALSE(reader.is_done()) << framing;
    EXPECT_TRUE(reader.Feed("x"));
    EXPECT_TRUE(reader.is_done()) << framing;
    EXPECT_TRUE(reader.Feed("x"));
  }
}

TEST(AnswerReader, DoesNotHoardABodyThatDoesNotParse) {
  AnswerReader reader;
  ASSERT_TRUE(reader.Feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"));
  for (std::size_t i = 0; !reader.is_done(); ++i) {
    ASSERT_TRUE(reader.Feed(std::string(1024, 'x')));
    ASSERT_LE(i, kMaxAnswerBody / 1024);
  }
}

TEST(AnswerReader, RefusesWhatIsNoHttp) {
  for (const std::string& answer :
       {std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string("HTTP/1.1 20 OK\r\n\r\n"), std::string(100, '\0'),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")}) {
    AnswerReader reader;
    const auto fed = reader.Feed(answer);
    ASSERT_FALSE(fed) << answer;
    EXPECT_EQ(fed.error().code, Errc::kMalformed);
    EXPECT_THAT(fed.error().what, HasSubstr("answered what is not HTTP"));
  }
}

}  // namespace
}  // namespace lazaret::webhook
