#include "load/response_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace lazaret::bench {
namespace {

constexpr std::string_view kTwo =
    "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 200 OK\r\nDate: x\r\ncontent-LENGTH:  5 \r\nConnection: Close\r\n\r\nhello"
    "HTTP/1.1 204 No Content\r\n\r\n";

TEST(ResponseReader, TakesResponsesApartAtEverySplit) {
  for (std::size_t split = 0; split <= kTwo.size(); ++split) {
    ResponseReader reader;
    std::vector<Response> taken;
    for (const auto part : {kTwo.substr(0, split), kTwo.substr(split)}) {
      ASSERT_TRUE(reader.Feed(part)) << split;
      while (auto response = reader.Take()) taken.push_back(*std::move(response));
    }
    ASSERT_EQ(taken.size(), 3u) << split;
    EXPECT_EQ(taken[0].status, 100);
    EXPECT_EQ(taken[1].status, 200);
    EXPECT_EQ(taken[1].body, "hello");
    EXPECT_TRUE(taken[1].closes);
    EXPECT_EQ(taken[2].status, 204);
    EXPECT_FALSE(taken[2].closes);
    EXPECT_TRUE(reader.is_empty());
  }
}

TEST(ResponseReader, RefusesWhatItCannotRead) {
  for (const std::string_view bad :
       {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"}) {
    ResponseReader reader;
    EXPECT_FALSE(reader.Feed(bad)) << bad;
    EXPECT_FALSE(reader.Take()) << bad;
  }
}

TEST(ResponseReader, RefusesABrokenHeadBehindAGoodResponse) {
  ResponseReader reader;
  ASSERT_TRUE(reader.Feed("HTTP/1.1 204 No Content\r\n\r\nHTTP/9\r\n\r\n"));
  EXPECT_TRUE(reader.Take());
  EXPECT_FALSE(reader.Take());
  EXPECT_FALSE(reader.Feed("x"));
}

TEST(ResponseReader, RefusesAHeadWithoutAnEnd) {
  ResponseReader reader;
  EXPECT_TRUE(reader.Feed("HTTP/1.1 200 OK\r\nX: " + std::string(64 * 1024 - 20, 'x')));
  EXPECT_FALSE(reader.Feed("x"));
}

}  // namespace
}  // namespace lazaret::bench
