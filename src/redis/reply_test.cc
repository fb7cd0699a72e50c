#include "redis/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "redis/command.h"
#include "redis/error_reply.h"
#include "redis/reply_parser.h"
#include "redis/script.h"
#include "redis/topology.h"

namespace lazaret::redis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::string_literals;

constexpr std::size_t kPlenty = 1 << 20;

const std::string kAll =
    "+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\r\n\0b\r\n$-1\r\n$0\r\n\r\n*0\r\n*-1\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*-1\r\n+y\r\n"s;

std::vector<Reply> Expected() {
  return {Reply::Status("OK"),
          Reply::MakeError("ERR no"),
          Reply::Integer(-42),
          Reply::Bulk("a\r\n\0b"s),
          Reply(),
          Reply::Bulk(""),
          Reply::Array({}),
          Reply(),
          Reply::Array({Reply::Integer(1), Reply::Array({Reply::Bulk("x"), Reply()}), Reply::Status("y")})};
}

TEST(ReplyParser, ReadsEveryKindAtEverySplit) {
  for (std::size_t first = 0; first <= kAll.size(); ++first) {
    for (std::size_t second = first; second <= kAll.size(); ++second) {
      ReplyParser parser(kPlenty);
      std::vector<Reply> replies;
      for (const std::string_view piece :
           {std::string_view(kAll).substr(0, first), std::string_view(kAll).substr(first, second - first),
            std::string_view(kAll).substr(second)}) {
        auto some = parser.Feed(AsBytes(piece));
        ASSERT_TRUE(some) << some.error().what;
        std::ranges::move(*some, std::back_inserter(replies));
      }
      ASSERT_EQ(replies, Expected()) << first << ' ' << second;
    }
  }
}

TEST(ReplyParser, ReadsByteByByte) {
  ReplyParser parser(kPlenty);
  std::vector<Reply> replies;
  for (const char c : kAll) {
    auto some = parser.Feed(AsBytes({&c, 1}));
    ASSERT_TRUE(some);
    std::ranges::move(*some, std::back_inserter(replies));
  }
  EXPECT_EQ(replies, Expected());
}

TEST(ReplyParser, ReadsLargeArraysAndMuchAtOnce) {
  std::string bytes = "*5000\r\n";
  std::vector<Reply> elements;
  for (int i = 0; i < 5000; ++i) {
    bytes += "*1\r\n:" + std::to_string(i) + "\r\n";
    elements.push_back(Reply::Array({Reply::Integer(i)}));
  }
  ReplyParser parser(std::size_t{1} << 22);
  const auto replies = parser.Feed(AsBytes(bytes + bytes));
  ASSERT_TRUE(replies);
  EXPECT_THAT(*replies, ElementsAre(Reply::Array(elements), Reply::Array(elements)));
}

TEST(ReplyParser, RefusesWhatIsNoReply) {
  for (const std::string& bytes : {"HTTP/1.1 200 OK\r\n"s, "$x\r\n"s, "*x\r\n"s, ":x\r\n"s, "$-2\r\n"s, "*-2\r\n"s,
                                   "\0\0"s, "%1\r\n"s, "*4294967296\r\n"s, "$99999999999999999999\r\n"s}) {
    ReplyParser parser(kPlenty);
    const auto replies = parser.Feed(AsBytes(bytes));
    ASSERT_FALSE(replies) << bytes;
    EXPECT_EQ(replies.error().code, Errc::kMalformed);
  }
}

TEST(ReplyParser, LimitsTheDepth) {
  const auto nested = [](int depth) {
    std::string bytes;
    for (int i = 0; i < depth; ++i) bytes += "*1\r\n";
    ReplyParser parser(kPlenty);
    return parser.Feed(AsBytes(bytes + ":1\r\n"));
  };
  EXPECT_TRUE(nested(7));
  EXPECT_EQ(nested(100).error().code, Errc::kMalformed);
}

TEST(ReplyParser, LimitsAReplyAndNotAllOfThem) {
  const std::string reply = "$100\r\n" + std::string(100, 'x') + "\r\n";
  ReplyParser enough(reply.size());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(enough.Feed(AsBytes(reply)));
  ReplyParser too_small(reply.size() - 1);
  EXPECT_EQ(too_small.Feed(AsBytes(reply)).error().code, Errc::kTooLarge);
  // Before it is complete, whatever it promises.
  ReplyParser early(50);
  EXPECT_EQ(early.Feed(AsBytes(reply.substr(0, 51))).error().code, Errc::kTooLarge);
  ReplyParser not_yet(50);
  EXPECT_TRUE(not_yet.Feed(AsBytes(reply.substr(0, 50))));
}

TEST(ReplyParser, CountsTheElementsOfArrays) {
  const std::string reply = "*3\r\n+\r\n+\r\n+\r\n";
  EXPECT_TRUE(ReplyParser(reply.size() + 3 * sizeof(Reply)).Feed(AsBytes(reply)));
  EXPECT_EQ(ReplyParser(reply.size() + 3 * sizeof(Reply) - 1).Feed(AsBytes(reply)).error().code, Errc::kTooLarge);
}

TEST(Command, IsFramedByLength) {
  EXPECT_EQ((Command{"SET", "k\r\n"s, "\0\xff"s, ""}).bytes(),
            "*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\0\xff\r\n$0\r\n\r\n"s);
  EXPECT_EQ(Command::Of("XADD", "k"s, "MAXLEN", 1000u, -5).bytes(),
            "*5\r\n$4\r\nXADD\r\n$1\r\nk\r\n$6\r\nMAXLEN\r\n$4\r\n1000\r\n$2\r\n-5\r\n");
  EXPECT_EQ(Command::Of("XREADGROUP", std::string(1000, 'x')).name(), "XREADGROUP");
}

TEST(Script, KnowsItsName) {
  const Script script("return 1");
  EXPECT_EQ(script.sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  const std::vector<std::string> keys = {"k"};
  const std::vector<std::string> arguments = {"a", ""};
  EXPECT_EQ(script.Whole(keys, arguments).bytes(),
            "*6\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n$0\r\n\r\n");
  EXPECT_EQ(script.ByName(keys, arguments).name(), "EVALSHA");
}

TEST(ErrorOf, SaysWhatTheCallerCanDo) {
  const auto code = [](std::string text) { return ErrorOf(Reply::MakeError(std::move(text))).code; };
  for (const char* word : {"LOADING", "READONLY", "NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "ASK", "CLUSTERDOWN",
                           "TRYAGAIN", "MASTERDOWN", "BUSY", "MISCONF", "NOREPLICAS"}) {
    EXPECT_EQ(code(std::string(word) + " text"), Errc::kUnavailable) << word;
  }
  EXPECT_EQ(code("OOM command not allowed"), Errc::kOverloaded);
  EXPECT_EQ(code("NOSCRIPT No matching script"), Errc::kNotFound);
  EXPECT_EQ(code("NOGROUP No such key"), Errc::kNotFound);
  EXPECT_EQ(code("WRONGTYPE Operation"), Errc::kCorrupt);
  EXPECT_EQ(code("BUSYGROUP Consumer Group name already exists"), Errc::kMalformed);
  EXPECT_EQ(code("ERR syntax error"), Errc::kInternal);
  EXPECT_EQ(code("LOADINGS"), Errc::kInternal);
  EXPECT_EQ(code(""), Errc::kInternal);
}

TEST(ErrorOf, KeepsTheFirstWordAndNoArguments) {
  const Error error =
      ErrorOf(Reply::MakeError("ERR unknown command 'HELLO', with args beginning with: '2' 'AUTH' 'u' 'hunter2'"));
  EXPECT_THAT(error.what, Not(HasSubstr("hunter2")));
  EXPECT_EQ(error.what, "Redis: ERR unknown command 'HELLO'");
  EXPECT_TRUE(HasErrorWord(error, "ERR"));
  EXPECT_FALSE(HasErrorWord(error, "ER"));
  EXPECT_FALSE(HasErrorWord(Error{Errc::kInternal, "ERR x"}, "ERR"));
}

TEST(ParseRedirection, ReadsMovedAndAsk) {
  const auto moved = ParseRedirection(Reply::MakeError("MOVED 3999 127.0.0.1:6381"));
  ASSERT_TRUE(moved);
  EXPECT_FALSE(moved->ask);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->host, "127.0.0.1");
  EXPECT_EQ(moved->port, 6381);
  EXPECT_TRUE(ParseRedirection(Reply::MakeError("ASK 16383 ::1:1"))->ask);
  EXPECT_EQ(ParseRedirection(Reply::MakeError("ASK 16383 ::1:1"))->host, "::1");
  EXPECT_EQ(ParseRedirection(Reply::MakeError("MOVED 0 :7000"))->host, "");
  for (const char* text : {"MOVED", "MOVED ", "MOVED 1", "MOVED 16384 h:1", "MOVED x h:1", "MOVED 1 h:0",
                           "MOVED 1 h:65536", "MOVED 1 h:", "MOVED 1 h", "MOVEDX 1 h:1", "ERR 1 h:1", "MOVED -1 h:1"}) {
    EXPECT_FALSE(ParseRedirection(Reply::MakeError(text))) << text;
  }
  EXPECT_FALSE(ParseRedirection(Reply::Bulk("MOVED 3999 127.0.0.1:6381")));
}

Reply Range(std::int64_t first, std::int64_t last, Reply host, std::int64_t port) {
  return Reply::Array({Reply::Integer(first), Reply::Integer(last),
                       Reply::Array({std::move(host), Reply::Integer(port), Reply::Bulk("id")}),
                       Reply::Array({Reply::Bulk("replica"), Reply::Integer(1)})});
}

TEST(ParseClusterSlots, ReadsMastersOnly) {
  const Endpoint asked{.host = "seed", .port = 1, .path = {}};
  const auto ranges = ParseClusterSlots(
      Reply::Array({Range(0, 100, Reply::Bulk("h1"), 7000), Range(101, 16383, Reply(), 7001)}), asked);
  ASSERT_TRUE(ranges);
  EXPECT_THAT(*ranges, ElementsAre(SlotRange{0, 100, {.host = "h1", .port = 7000, .path = {}}},
                                   SlotRange{101, 16383, {.host = "seed", .port = 7001, .path = {}}}));
}

TEST(ParseClusterSlots, RefusesAnythingElse) {
  const Endpoint asked{.host = "seed", .port = 1, .path = {}};
  for (const Reply& reply :
       {Reply(), Reply::Bulk("x"), Reply::Array({Reply::Integer(1)}),
        Reply::Array({Range(0, 16384, Reply::Bulk("h"), 1)}), Reply::Array({Range(-1, 0, Reply::Bulk("h"), 1)}),
        Reply::Array({Range(2, 1, Reply::Bulk("h"), 1)}), Reply::Array({Range(0, 1, Reply::Bulk("h"), 0)}),
        Reply::Array({Range(0, 1, Reply::Bulk("h"), 65536)}),
        Reply::Array({Reply::Array({Reply::Integer(0), Reply::Integer(1), Reply::Array({})})})}) {
    const auto ranges = ParseClusterSlots(reply, asked);
    ASSERT_FALSE(ranges) << testing::PrintToString(reply);
    EXPECT_EQ(ranges.error().code, Errc::kCorrupt);
  }
}

TEST(Reply, IsTakenApartWithChecks) {
  EXPECT_EQ(Reply::Integer(5).ToInteger("x"), Result<std::int64_t>(5));
  EXPECT_EQ(Reply::Bulk("5").ToInteger("INCR").error().code, Errc::kCorrupt);
  EXPECT_THAT(Reply().ToText("GET").error().what, HasSubstr("GET"));
  EXPECT_EQ(Reply::Status("OK").ToText("x"), Result<std::string>("OK"));
  EXPECT_EQ(Reply::Array({Reply()}).ToArray("x")->size(), 1u);
  EXPECT_FALSE(Reply::Integer(1).ToArray("x"));
}

}  // namespace
}  // namespace lazaret::redis
